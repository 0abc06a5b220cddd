"""Positions of `[rows, positions, ...]`: some of them, padded, spread out, or as each tap of a window sees them.

Written with few TensorFlow ops: tracing them takes as long as XLA does, in programs of small models.
"""

from __future__ import annotations

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor


def between(x: Tensor, first: int, last: int, axis: int = 1) -> Tensor:
    """Positions `first <= position < last` of an axis, all of which exist."""
    if (first, last) == (0, x.shape[axis]):
        return x
    begin, size = [0] * len(x.shape), [-1] * len(x.shape)
    begin[axis], size[axis] = first, max(last - first, 0)
    return tf.slice(x, begin, size)


def pad_positions(x: Tensor, left: int, right: int, *, value: float = 0.0) -> Tensor:
    """Pad (or, where negative, crop) axis 1."""
    x = between(x, max(-left, 0), x.shape[1] - max(-right, 0))
    if left <= 0 and right <= 0:
        return x
    paddings = [[0, 0], [max(left, 0), max(right, 0)]] + [[0, 0]] * (len(x.shape) - 2)
    return tf.pad(x, paddings, constant_values=value)


def taps_of(x: Tensor, taps: int, stride: int, dilation: int) -> list[Tensor]:
    """`x` as each tap of a `valid` window sees it: `taps` strided slices of axis 1."""
    out_length = (x.shape[1] - (taps - 1) * dilation - 1) // stride + 1
    span = (out_length - 1) * stride + 1
    begins = [t * dilation for t in range(taps)]
    if stride == 1:
        return [between(x, begin, begin + span) for begin in begins]
    return [x[:, begin : begin + span : stride] for begin in begins]


def spread_out(x: Tensor, stride: int) -> Tensor:
    """Put `stride - 1` zeros between neighbouring positions of `[rows, positions, n, m]`."""
    if stride == 1:
        return x
    width = x.shape[1]
    wide = tf.pad(tf.expand_dims(x, 2), [[0, 0], [0, 0], [0, stride - 1], [0, 0], [0, 0]])
    wide = tf.reshape(wide, [-1, width * stride, *x.shape[2:]])
    return between(wide, 0, (width - 1) * stride + 1)
