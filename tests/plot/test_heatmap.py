from __future__ import annotations

import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.plot import heatmap_figure

EFFECTS = np.array([[0.0, 2.0, -4.0, 1.0], [3.0, 0.0, np.nan, -1.0], [1.0, 1.0, 1.0, 1.0]])
REFERENCE = np.array([0, 1, 255])


def test_colours_are_centred_and_reference_cells_blank() -> None:
    figure = heatmap_figure(EFFECTS, REFERENCE, first=7, title="t", label="delta")
    cells, letters, bar = figure.axes
    missing, effects = cells.images
    shown = effects.get_array()
    assert shown.shape == (4, 3)
    assert effects.get_clim() == (-4.0, 4.0)
    blank = [(0, 0), (1, 1), (2, 1)]
    assert {tuple(c) for c in np.argwhere(np.ma.getmaskarray(shown)).tolist()} == set(blank)
    assert shown[2, 0] == -4.0
    low, middle, high = (effects.cmap(effects.norm(v)) for v in (-4.0, 0.0, 4.0))
    assert low[2] > low[0]  # blue
    assert high[0] > high[2]  # red
    assert min(middle[:3]) > 0.9
    assert np.argwhere(missing.get_array() == 1).tolist() == [[2, 1]], "the failed cell alone is grey"
    assert bar.get_ylabel() == "delta"
    assert cells.get_xlim() == letters.get_xlim() == (6.5, 9.5)
    assert [t.get_text() for t in cells.get_yticklabels()] == list("ACGT")
    assert cells.get_ylim() == (3.5, -0.5), "the first letter is on top"
    assert [t.get_text() for t in letters.texts] == ["A", "C", "N"]
    assert "not computed" in letters.get_xlabel()


def test_long_sequences_get_stripes_for_letters() -> None:
    effects = np.zeros((300, 4))
    _, letters, _ = heatmap_figure(effects, np.zeros(300, int)).axes
    assert not letters.texts
    (stripes,) = letters.images
    assert stripes.get_array().shape == (1, 300, 3)
    assert "not computed" not in letters.get_xlabel()


def test_one_position_all_zero_and_a_given_limit() -> None:
    cells = heatmap_figure(np.zeros((1, 4)), np.array([2])).axes[0]
    assert cells.images[1].get_clim() == (-1.0, 1.0)
    cells = heatmap_figure(EFFECTS, REFERENCE, limit=10.0).axes[0]
    assert cells.images[1].get_clim() == (-10.0, 10.0)


def test_refusals() -> None:
    with pytest.raises(fc.InputError, match=r"any, 4"):
        heatmap_figure(np.zeros((3, 5)), REFERENCE)
    with pytest.raises(fc.InputError, match="one cell"):
        heatmap_figure(EFFECTS, REFERENCE[:2])
