from __future__ import annotations

import numpy as np

from fastism_compiler.plot import logo_figure


def test_logos_have_a_letter_for_every_score() -> None:
    scores = np.zeros((7, 4))
    scores[2, 0], scores[3, 3], scores[3, 1], scores[5, 2] = 2.0, -1.0, 0.5, np.nan
    figure = logo_figure({"one": scores, "two": scores * 2}, first=10, spans={"one": {"box": (12, 14)}})
    first, second = figure.axes
    assert len([p for p in first.patches if type(p).__name__ == "PathPatch"]) == 3
    assert len(second.patches) == 3
    low, high = second.get_ylim()
    assert low <= -2
    assert high >= 4
    assert first.get_xlim() == (9.4, 16.6)
    assert [t.get_text() for t in first.texts] == ["box"]
