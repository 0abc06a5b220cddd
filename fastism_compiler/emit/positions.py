"""Positions of `[rows, positions, ...]`: padded, spread out, or as each tap of a window sees them."""

from __future__ import annotations

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor


def pad_positions(x: Tensor, left: int, right: int, *, value: float = 0.0) -> Tensor:
    """Pad (or, where negative, crop) axis 1."""
    x = x[:, max(-left, 0) : x.shape[1] - max(-right, 0)]
    if left <= 0 and right <= 0:
        return x
    paddings = [[0, 0], [max(left, 0), max(right, 0)]] + [[0, 0]] * (len(x.shape) - 2)
    return tf.pad(x, paddings, constant_values=value)


def taps_of(x: Tensor, taps: int, stride: int, dilation: int) -> list[Tensor]:
    """`x` as each tap of a `valid` window sees it: `taps` strided slices of axis 1."""
    out_length = (x.shape[1] - (taps - 1) * dilation - 1) // stride + 1
    span = (out_length - 1) * stride + 1
    return [x[:, t * dilation : t * dilation + span : stride] for t in range(taps)]


def spread_out(x: Tensor, stride: int) -> Tensor:
    """Put `stride - 1` zeros between neighbouring positions of `[rows, positions, n, m]`."""
    if stride == 1:
        return x
    width = x.shape[1]
    wide = tf.pad(x[:, :, None], [[0, 0], [0, 0], [0, stride - 1], [0, 0], [0, 0]])
    wide = tf.reshape(wide, [-1, width * stride, *x.shape[2:]])
    return wide[:, : (width - 1) * stride + 1]
