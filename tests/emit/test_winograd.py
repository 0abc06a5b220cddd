"""Pairs of positions and groups of taps give what every position with every tap gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from fastism_compiler.emit.kernels.winograd import arrange, spread_pairs
from tests.oracle import spread

SHAPES = [(w, k, d) for w in range(1, 10) for k in range(1, 9) for d in range(1, 5)]


def in_pairs(x: Any, weights: Any, dilation: int, jit: bool = False) -> Any:
    def run(x: Any, weights: Any) -> Any:
        return spread_pairs(x, arrange(weights), weights.shape[2], dilation, tf.matmul, in_place=jit)

    function = tf.function(run, jit_compile=True, autograph=False) if jit else run
    return function(tf.constant(x), tf.constant(weights)).numpy()


@pytest.mark.parametrize(("width", "taps", "dilation"), SHAPES)
def test_every_small_shape(width: int, taps: int, dilation: int) -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((3, width, 5)), rng.standard_normal((taps, 5, 2))
    np.testing.assert_allclose(in_pairs(x, weights, dilation), spread(x, weights, dilation), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("width", "taps", "dilation"), [(7, 11, 1), (8, 3, 2), (9, 8, 1), (1, 3, 1), (5, 2, 4)])
@pytest.mark.parametrize("jit", [False, True])
def test_whole_numbers_are_exact_in_float32(width: int, taps: int, dilation: int, jit: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-8, 9, (4, width, 6)).astype("float32")
    weights = rng.integers(-8, 9, (taps, 6, 3)).astype("float32")
    np.testing.assert_array_equal(in_pairs(x, weights, dilation, jit), spread(x, weights, dilation))


@pytest.mark.parametrize("position", range(7))
def test_what_no_change_reaches_is_exactly_zero(position: int) -> None:
    """Rounding at other points than 0 and infinity must not leak beyond the taps of a changed position."""
    rng = np.random.default_rng(0)
    x = np.zeros((2, 7, 30), np.float32)
    x[:, position] = rng.standard_normal((2, 30))
    weights = rng.standard_normal((8, 30, 4)).astype(np.float32)
    y = in_pairs(x, weights, 1, jit=True)
    reached = np.zeros(14, bool)
    reached[position : position + 8] = True
    assert np.all(y[:, ~reached] == 0) and np.all(y[:, reached] != 0)


@pytest.mark.parametrize("taps", [2, 3, 7, 8])
def test_rounding_is_that_of_a_few_more_additions(taps: int) -> None:
    """Root mean square of the error, over that of every position with every tap: 1.2 to 1.7 measured."""
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((50, 12, 64)), rng.standard_normal((taps, 64, 32))
    x, weights = x.astype(np.float32), weights.astype(np.float32)
    exact = spread(x.astype(np.float64), weights.astype(np.float64), 1)
    errors = [np.sqrt(np.mean((y - exact) ** 2)) for y in (in_pairs(x, weights, 1), spread(x, weights, 1))]
    assert errors[0] < 3 * errors[1]
