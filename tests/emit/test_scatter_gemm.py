"""Bands of positions give what every position with every tap gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from fastism_compiler.ir.kernels.scatter_gemm import Banding

from fastism_compiler.emit.kernels.scatter_gemm import arrange_taps, spread_taps
from tests.oracle import spread

SHAPES = [
    (w, k, f, d) for w in (1, 2, 5, 13, 30, 101) for k in (1, 2, 7, 13, 25, 41) for f in (1, 3, 8) for d in (1, 3)
]


def in_bands(x: Any, weights: Any, dilation: int, stride: int = 1, jit: bool = False) -> Any:
    banding = Banding(x.shape[1], weights.shape[0], weights.shape[2], dilation, stride)

    def run(x: Any, weights: Any) -> Any:
        return spread_taps(x, arrange_taps(weights, banding), banding, tf.matmul, in_place=jit)

    function = tf.function(run, jit_compile=True, autograph=False) if jit else run
    return function(tf.constant(x), tf.constant(weights)).numpy()


@pytest.mark.parametrize(("width", "taps", "filters", "dilation"), SHAPES)
def test_small_shapes(width: int, taps: int, filters: int, dilation: int) -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((3, width, 4)), rng.standard_normal((taps, 4, filters))
    np.testing.assert_allclose(in_bands(x, weights, dilation), spread(x, weights, dilation), rtol=0, atol=1e-12)


@pytest.mark.parametrize("stride", [2, 3])
def test_strides_of_transposed_convolutions(stride: int) -> None:
    rng = np.random.default_rng(0)
    x, weights = rng.standard_normal((2, 20, 4)), rng.standard_normal((25, 4, 2))
    np.testing.assert_allclose(in_bands(x, weights, 1, stride), spread(x, weights, 1, stride), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("width", "taps", "filters", "dilation"),
    [(30, 25, 1, 1), (101, 41, 8, 25), (26, 13, 3, 2), (9, 8, 16, 2), (6, 9, 16, 1)],
)
def test_whole_numbers_are_exact_in_float32(width: int, taps: int, filters: int, dilation: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-8, 9, (2, width, 6)).astype("float32")
    weights = rng.integers(-8, 9, (taps, 6, filters)).astype("float32")
    np.testing.assert_array_equal(in_bands(x, weights, dilation, jit=True), spread(x, weights, dilation))


@pytest.mark.parametrize("position", [0, 3, 4, 29])
def test_what_no_change_reaches_is_exactly_zero(position: int) -> None:
    """The zeros of a band add nothing, not even rounding."""
    rng = np.random.default_rng(0)
    x = np.zeros((2, 30, 16), np.float32)
    x[:, position] = rng.standard_normal((2, 16))
    y = in_bands(x, rng.standard_normal((25, 16, 1)).astype(np.float32), 1, jit=True)
    reached = np.zeros(54, bool)
    reached[position : position + 25] = True
    assert np.all(y[:, ~reached] == 0) and np.all(y[:, reached] != 0)
