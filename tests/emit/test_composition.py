"""One kernel for two convolutions in a row: against both of them, and the interpreter against the same."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from fastism_compiler.ir import Graph, Node, TensorType
from fastism_compiler.ir.composition import composed_dilation
from fastism_compiler.ir.interpreter.whole import WHOLE

from fastism_compiler.emit.ops import OPS

SHAPES = [(taps, d) for taps in product((1, 2, 5), (1, 3, 4)) for d in ((1, 1), (2, 2), (1, 3), (4, 6), (3, 2))]


def composed(taps: tuple[int, int], dilations: tuple[int, int], dtype: str = "float64") -> Node:
    graph = Graph()
    kernels = [
        graph.add("parameter", attrs={"binding": "w"}, type=TensorType((k, *channels), dtype))
        for k, channels in zip(taps, ((4, 6), (6, 5)), strict=True)
    ]
    return graph.add("compose_kernels", kernels, {"dilations": dilations, "pads": ((0, 0), (0, 0))})


def valid(x: Any, kernel: Any, dilation: int) -> Any:
    """A convolution, output by output."""
    taps = len(kernel)
    length = x.shape[1] - (taps - 1) * dilation
    return np.stack([sum(x[:, p + t * dilation] @ kernel[t] for t in range(taps)) for p in range(length)], axis=1)


@pytest.mark.parametrize(("taps", "dilations"), SHAPES)
def test_both_in_a_row(taps: tuple[int, int], dilations: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    x, first, second = rng.standard_normal((2, 40, 4)), rng.random((taps[0], 4, 6)), rng.random((taps[1], 6, 5))
    node = composed(taps, dilations)
    expected = valid(valid(x, first, dilations[0]), second, dilations[1])
    emitted = OPS["compose_kernels"](node, tf.constant(first), tf.constant(second)).numpy()
    for kernel in (emitted, WHOLE["compose_kernels"](node, first, second)):
        assert kernel.shape == node.type.shape
        np.testing.assert_allclose(valid(x, kernel, composed_dilation(taps, dilations)), expected, rtol=0, atol=1e-11)


def test_jitted() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((5, 4, 6)), rng.random((3, 6, 5))
    node = composed((5, 3), (2, 3))
    run = tf.function(lambda a, b: OPS["compose_kernels"](node, a, b), jit_compile=True, autograph=False)
    np.testing.assert_allclose(run(first, second), WHOLE["compose_kernels"](node, first, second), rtol=1e-12)


def test_the_wider_dtype_counts() -> None:
    graph = Graph()
    kernels = [
        graph.add("parameter", attrs={"binding": "w"}, type=TensorType((3, 4, 4), dtype))
        for dtype in ("float32", "float64")
    ]
    node = graph.add("compose_kernels", kernels, {"dilations": (1, 1), "pads": ((0, 0), (0, 0))})
    first, second = tf.ones([3, 4, 4]), tf.ones([3, 4, 4], "float64")
    assert node.type.dtype == OPS["compose_kernels"](node, first, second).dtype.name == "float64"
