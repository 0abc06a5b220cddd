"""The `toeplitz` kernel: one product of whole windows with a banded matrix."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.positions import between, spread_out
from fastism_compiler.emit.precision import Arithmetic
from fastism_compiler.ir import Node
from fastism_compiler.ir.queries import geometry_of


def prepare(node: Node, weights: Tensor, width: int) -> Tensor:
    """`[w*Cin, w_out*Cout]`: input position `i` meets output `j` with tap `i + (k-1)d - j`."""
    taps, channels, filters = weights.shape
    dilation = geometry_of(node).dilation
    spread = spread_out(tf.reverse(weights, [0])[None], dilation)[0]
    out_width = (taps - 1) * dilation + width
    # a row of taps and `width` zeros, again and again: cut into rows one shorter, each begins one position later
    repeated = tf.tile(tf.pad(spread, [[0, width], [0, 0], [0, 0]]), [width, 1, 1])
    banded = tf.reshape(between(repeated, 0, width * out_width, axis=0), [width, out_width, channels, filters])
    return tf.reshape(tf.transpose(banded, [0, 2, 1, 3]), [width * channels, out_width * filters])


def apply(node: Node, x: Tensor, weights: Tensor, arithmetic: Arithmetic, starts: Callable[[], Tensor]) -> Tensor:
    """`[rows, w, Cin]` to `[rows, w + (k-1)*dilation, Cout]`."""
    rows = arithmetic.product(tf.reshape(x, [-1, x.shape[1] * x.shape[2]]), weights)
    filters = geometry_of(node).filters
    return tf.reshape(rows, [-1, weights.shape[1] // filters, filters])
