from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgba

import fastism_compiler as fc
from fastism_compiler.plot import COLOURS, lollipop_figure

POSITIONS = np.array([10, 10, 12, 40, 41, 80])
EFFECTS = np.array([1.0, 3.0, 2.0, -4.0, np.nan, 0.5])
LABELS = [f"v{i}" for i in range(6)]


def test_heads_stems_and_crosses() -> None:
    (ax,) = lollipop_figure(POSITIONS, EFFECTS, LABELS, list("ACGTAC"), ylabel="log2 fold change").axes
    heads, crosses = ax.collections[1:]
    np.testing.assert_array_equal(heads.get_offsets(), [[10, 1], [10, 3], [12, 2], [40, -4], [80, 0.5]])
    assert [to_rgba(c) for c in heads.get_facecolors()] == [to_rgba(COLOURS[c]) for c in "ACGTC"]
    np.testing.assert_array_equal(crosses.get_offsets(), [[41, 0]])
    stems = [s.tolist() for s in ax.collections[0].get_segments()]
    assert stems[3] == [[40, 0], [40, -4]]
    assert ax.get_ylabel() == "log2 fold change"
    assert "not computed" in ax.get_xlabel()
    assert [t.get_text() for t in ax.get_legend().get_texts()] == list("ACGT")


def test_labels_are_the_strongest_that_have_room() -> None:
    (ax,) = lollipop_figure(POSITIONS, EFFECTS, LABELS).axes
    texts = [t.get_text() for t in ax.texts]
    assert texts == ["v3", "v1", "v5"], "v0 and v2 stand beside the stronger v1, v4 was not computed"
    assert ax.get_legend() is None
    (ax,) = lollipop_figure(np.array([0, 4, 8, 100]), np.array([3.0, 2.0, 1.0, 0.0]), list("abcd")).axes
    assert [t.get_text() for t in ax.texts] == ["a"], "c stands beside b, which has no label; d has no effect"
    (ax,) = lollipop_figure(POSITIONS, EFFECTS, LABELS, label_top=1).axes
    assert [t.get_text() for t in ax.texts] == ["v3"]


def test_a_region_sets_the_axis_and_nothing_outside_is_labelled() -> None:
    (ax,) = lollipop_figure(POSITIONS, EFFECTS, LABELS, region=(5, 20)).axes
    assert ax.get_xlim() == (4.5, 20.5)
    assert {t.get_text() for t in ax.texts} <= {"v0", "v1", "v2"}


def test_no_variants_and_refusals() -> None:
    (ax,) = lollipop_figure(np.array([]), np.array([]), []).axes
    assert not ax.texts
    with pytest.raises(fc.InputError, match="positions"):
        lollipop_figure(POSITIONS[:3], EFFECTS)
