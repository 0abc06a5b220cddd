from __future__ import annotations

import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.results.importance import importance, mean_centred, on_reference

EFFECTS = np.array(
    [
        [0.0, -3.0, -6.0, 0.0],  # reference A
        [1.0, 2.0, 0.0, -6.0],  # reference G
        [0.5, 0.5, 0.5, 0.5],  # reference unknown
        [np.nan, 1.0, 1.0, 0.0],  # reference T, one failed
    ]
)
REFERENCE = np.array([0, 2, 255, 3])


def test_importance_by_hand() -> None:
    for method, expected in (
        ("mean", [3.0, 1.0, np.nan, np.nan]),
        ("loss", [-6.0, -6.0, np.nan, np.nan]),
        ("gain", [0.0, 2.0, np.nan, np.nan]),
    ):
        np.testing.assert_array_equal(importance(EFFECTS, REFERENCE, method), expected)


def test_a_failed_reference_cell_does_not_matter_and_leading_axes_are_kept() -> None:
    effects = np.stack([EFFECTS[:2], EFFECTS[:2]])
    effects[0, 0, 0] = np.nan  # the reference letter's own effect is 0 by definition
    scores = importance(effects, np.stack([REFERENCE[:2]] * 2))
    np.testing.assert_array_equal(scores, [[3.0, 1.0], [3.0, 1.0]])


def test_mean_centred_by_hand() -> None:
    centred = mean_centred(EFFECTS)
    np.testing.assert_allclose(centred[0], [2.25, -0.75, -3.75, 2.25])
    np.testing.assert_allclose(centred[:3].sum(-1), 0, atol=1e-12)
    assert np.isnan(centred[3]).all()


def test_on_reference() -> None:
    placed = on_reference(np.array([3.0, 1.0, 7.0]), REFERENCE[:3], 4)
    np.testing.assert_array_equal(placed, [[3, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])


def test_two_letters_and_no_negative_zero() -> None:
    scores = importance(np.array([[0.0, 0.0], [4.0, 0.0]]), np.array([0, 1]))
    np.testing.assert_array_equal(scores, [0.0, -4.0])
    assert not np.signbit(scores[0])


def test_refusals() -> None:
    with pytest.raises(fc.OptionError, match="importance"):
        importance(EFFECTS, REFERENCE, "median")
    with pytest.raises(fc.InputError, match="one cell per position and letter"):
        importance(EFFECTS, REFERENCE[:2])
    with pytest.raises(fc.InputError, match="2 letters"):
        importance(EFFECTS[:, :1], REFERENCE)
