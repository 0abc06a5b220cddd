"""The view as in a genome browser, and the path of a design."""

from __future__ import annotations

import numpy as np
import pytest

from fastism_compiler import plot
from fastism_compiler.errors import InputError
from fastism_compiler.evolution.path import Design, Path, Step
from fastism_compiler.results.importance import importance

EFFECTS = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32) * 0.01
REFERENCE = np.random.default_rng(1).integers(0, 4, 200)
EFFECTS[np.arange(200), REFERENCE] = 0
EFFECTS[120:130] *= 200
EFFECTS[np.arange(200), REFERENCE] = 0
EFFECTS[40, (REFERENCE[40] + 1) % 4] = np.nan


def test_all_positions_in_the_track_and_the_strongest_below() -> None:
    figure = plot.browser_figure(EFFECTS, REFERENCE, first=1000)
    track, logo, cells = figure.axes[:3]
    heights = importance(EFFECTS, REFERENCE)
    np.testing.assert_allclose([bar.get_height() for bar in track.patches[:199]], heights[np.isfinite(heights)])
    left, right = logo.get_xlim()
    assert left <= 1120 and right >= 1129 and 59 < right - left < 62, "the 60 positions that matter most"
    assert cells.get_xlim() == (left, right)
    shown = cells.images[1].get_array()
    assert shown.shape == (4, 60)
    first = round(left + 0.6) - 1000
    np.testing.assert_allclose(np.ma.filled(shown.T, 0), EFFECTS[first : first + 60], atol=1e-7)


def test_a_part_that_is_asked_for() -> None:
    figure = plot.browser_figure(EFFECTS, REFERENCE, first=1000, part=(1030, 1045), method="loss")
    assert figure.axes[1].get_xlim() == pytest.approx((1029.4, 1044.6))
    for part in ((990, 1010), (1190, 1201), (1040, 1040)):
        with pytest.raises(InputError, match="the part lies"):
            plot.browser_figure(EFFECTS, REFERENCE, first=1000, part=part)
    assert plot.browser_figure(EFFECTS[:5], REFERENCE[:5]).axes[2].images[1].get_array().shape == (4, 5)


def test_the_path_of_a_design() -> None:
    path = Path(1.0, (Step(2, 0, 2.5), Step(2, 3, 3.0), Step(0, 1, 3.25)))
    design = Design(np.eye(4)[[1, 1, 3]], path, "GCT", "CCT", "ACGT", False)
    assert design.substitutions == [(2, "T", "A"), (2, "A", "T"), (0, "G", "C")]
    ax = plot.design_figure(design).axes[0]
    assert [t.get_text() for t in ax.texts] == ["T2A", "A2T", "G0C"]
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), design.scores)
    unnamed = Design(np.eye(4)[[1, 1, 3]], path, "", "", "", False)
    assert [t.get_text() for t in plot.design_figure(unnamed).axes[0].texts] == ["2→0", "2→3", "0→1"]
