from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.plot import outputs_figure
from fastism_compiler.plot.tracks import top_outputs

RNG = np.random.default_rng(0)
SHAPES = RNG.normal(size=(40, 2))
EFFECTS = np.stack([SHAPES[:, k % 2] * (1 + 0.05 * k) for k in range(6)], axis=1)
"""Outputs 0, 2, 4 look alike, and 1, 3, 5."""


def labels(figure: Any) -> list[str]:
    return [t.get_text() for t in figure.axes[0].get_yticklabels()]


def test_rows_that_look_alike_stand_together() -> None:
    figure = outputs_figure(EFFECTS, [f"out{k}" for k in range(6)], np.arange(100, 140))
    order = [int(name[3:]) % 2 for name in labels(figure)]
    assert order in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])
    (image,) = figure.axes[0].images
    for row, name in enumerate(labels(figure)):
        np.testing.assert_array_equal(image.get_array()[row], EFFECTS[:, int(name[3:])])
    low, high = image.get_clim()
    assert -low == high == np.abs(EFFECTS).max()
    ticks = figure.axes[0].get_xticks().tolist()
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == [str(int(t) + 100) for t in ticks]
    assert len(ticks) > 3


def test_the_tree_is_beside_the_rows() -> None:
    figure = outputs_figure(EFFECTS)
    (strip,) = figure.axes[0].child_axes
    assert len(strip.lines) == 5, "one joint less than rows"
    assert strip.get_ylim() == figure.axes[0].get_ylim()
    assert not outputs_figure(EFFECTS, cluster=False).axes[0].child_axes


def test_the_strongest_outputs_are_shown() -> None:
    effects = EFFECTS * [1, 1, 9, 1, 1, -8]
    effects[3, 5] = np.nan
    effects[:, 0] = np.nan
    assert top_outputs(effects, 2).tolist() in ([2, 5], [5, 2])
    assert sorted(labels(outputs_figure(effects, top=2))) == ["2", "5"]
    figure = outputs_figure(effects)
    assert set(labels(figure)) == set("012345")
    row = labels(figure).index("0")
    assert np.ma.getmaskarray(figure.axes[0].images[0].get_array())[row].all()
    assert "not computed" in figure.axes[0].get_xlabel()


def test_columns_of_uneven_positions_keep_their_numbers() -> None:
    positions = np.array([3, 10, 11, 40])
    figure = outputs_figure(EFFECTS[:4], positions=positions)
    ax = figure.axes[0]
    for column, text in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True):
        assert int(text.get_text()) == positions[int(column)]


def test_one_output_one_position() -> None:
    assert labels(outputs_figure(np.array([[1.5]]), ["only"])) == ["only"]


def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(fc.OptionError, match="top"):
        outputs_figure(EFFECTS, top=0)
    with pytest.raises(fc.InputError, match="any, 2"):
        outputs_figure(EFFECTS, ["a", "b"])
    with pytest.raises(fc.InputError, match="40"):
        outputs_figure(EFFECTS, positions=np.arange(3))
    real = builtins.__import__

    def without_scipy(name: str, *rest: Any, **options: Any) -> Any:
        if name.startswith("scipy"):
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without_scipy)
    with pytest.raises(fc.UnsupportedError, match=r"fastism-compiler\[plot\]"):
        outputs_figure(EFFECTS)
    assert len(labels(outputs_figure(EFFECTS, cluster=False))) == 6
