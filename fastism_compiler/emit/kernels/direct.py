"""The `direct` kernel: the ordinary op, on a window with zeros beside it or on whole values."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.ops import OPS, VALID
from fastism_compiler.emit.positions import pad_positions
from fastism_compiler.emit.precision import Arithmetic
from fastism_compiler.ir import Node
from fastism_compiler.ir.queries import geometry_of


def prepare(node: Node, weights: Tensor, width: int) -> Tensor:
    """The weights as they are."""
    return weights


def apply(node: Node, x: Tensor, weights: Tensor, arithmetic: Arithmetic, starts: Callable[[], Tensor]) -> Tensor:
    """What the op makes of `x`; rows that a strided op reads are phase-aligned, and hold all it reads."""
    if len(weights.shape) == 2:
        return product_of_rows(x, weights, arithmetic)
    if not node.has_window:
        return OPS[node.op](node, x, weights)
    g = geometry_of(node)
    reach = (g.taps - 1) * g.dilation if node.attrs["stride"] == 1 else 0
    x, weights = arithmetic.rounding(pad_positions(x, reach, reach)), arithmetic.rounding(weights)
    return VALID[node.op](x, weights, node.attrs)


def product_of_rows(x: Tensor, weights: Tensor, arithmetic: Arithmetic) -> Tensor:
    """The last axis of `x` with a matrix `[in, out]`."""
    rows = arithmetic.product(tf.reshape(x, [-1, weights.shape[0]]), weights)
    return tf.reshape(rows, [-1, *x.shape[1:-1], weights.shape[1]])
