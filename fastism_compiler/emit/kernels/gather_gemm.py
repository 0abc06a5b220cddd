"""The `gather-gemm` kernel: the inputs of each needed output side by side, then one product."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.positions import taps_of
from fastism_compiler.emit.precision import Arithmetic
from fastism_compiler.ir import Node
from fastism_compiler.ir.queries import geometry_of


def prepare(node: Node, weights: Tensor, width: int) -> Tensor:
    """`[k*Cin, Cout]`, all taps one below the other."""
    taps, channels, filters = weights.shape
    return tf.reshape(weights, [taps * channels, filters])


def apply(node: Node, x: Tensor, weights: Tensor, arithmetic: Arithmetic, starts: Callable[[], Tensor]) -> Tensor:
    """`[rows, n + (k-1)*dilation, Cin]`, which is all that the outputs read, to `[rows, n, Cout]`."""
    g = geometry_of(node)
    width = x.shape[1] - (g.taps - 1) * g.dilation
    columns = tf.concat(taps_of(x, g.taps, 1, g.dilation), axis=2)
    rows = arithmetic.product(tf.reshape(columns, [-1, g.taps * g.channels]), weights)
    return tf.reshape(rows, [-1, width, g.filters])
