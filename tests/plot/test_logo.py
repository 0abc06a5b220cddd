from __future__ import annotations

import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.plot import logo_figure


def letters(ax: object) -> list[object]:
    return [p for p in ax.patches if type(p).__name__ == "PathPatch"]  # type: ignore[attr-defined]


def test_logos_have_a_letter_for_every_score() -> None:
    scores = np.zeros((7, 4))
    scores[2, 0], scores[3, 3], scores[3, 1], scores[5, 2] = 2.0, -1.0, 0.5, np.nan
    figure = logo_figure({"one": scores, "two": scores * 2}, first=10, spans={"one": {"box": (12, 14)}})
    first, second = figure.axes
    assert len(letters(first)) == 3
    assert len(second.patches) == 3
    low, high = second.get_ylim()
    assert low <= -2
    assert high >= 4
    assert first.get_xlim() == (9.4, 16.6)
    assert [t.get_text() for t in first.texts] == ["box"]


def test_letters_stand_on_the_line_smallest_first_and_are_as_high_as_their_scores() -> None:
    (ax,) = logo_figure({"one": np.array([[1.0, 3.0, -2.0, 0.0]])}, first=5).axes
    boxes = sorted((p.get_path().get_extents() for p in letters(ax)), key=lambda b: b.y0)
    spans = [(b.y0, b.y1) for b in boxes]
    np.testing.assert_allclose(spans, [(-2, 0), (0, 1), (1, 4)], atol=1e-6)
    assert all(4.5 < b.x0 < b.x1 < 5.5 for b in boxes)


def test_positions_that_were_not_computed_are_marked() -> None:
    scores = np.ones((4, 4))
    scores[1], scores[3, 2] = np.nan, np.inf
    (ax,) = logo_figure({"one": scores}, first=100).axes
    (marks,) = [line for line in ax.lines if line.get_label() == "not computed"]
    assert marks.get_xdata().tolist() == [101, 103]


def test_refuses_scores_of_other_letters() -> None:
    with pytest.raises(fc.InputError, match=r"any, 4"):
        logo_figure({"one": np.zeros((7, 5))})


def test_nothing_but_zeros_and_a_single_position() -> None:
    (ax,) = logo_figure({"zeros": np.zeros((1, 4))}).axes
    assert not letters(ax)
    assert ax.get_ylim()[1] == pytest.approx(1.15)
