"""Which rows hold only finite numbers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor


def all_finite(tensors: Sequence[Tensor]) -> Tensor:
    """Which leading entries of all tensors hold only finite numbers: `[n]` bool."""
    # x * 0 is 0 for finite numbers and NaN for the rest: one sum instead of a mask
    faults = [tf.reduce_sum(x * 0, axis=list(range(1, len(x.shape)))) for x in tensors if x.dtype.is_floating]
    if not faults:
        return tf.ones(tf.shape(tensors[0])[:1], tf.bool)
    return tf.math.is_finite(reduce(tf.add, [tf.cast(fault, tf.float32) for fault in faults]))


def shows_all(x: Tensor, dtype: str) -> Tensor:
    """Which leading entries of `x` are finite and, if `dtype` is an integer, within its range: `[n]` bool."""
    whole = tf.as_dtype(dtype)
    if not (whole.is_integer and x.dtype.is_floating):
        return all_finite([x])
    # the truncated value is within the range; NaN compares false
    inside = (x > float(whole.min) - 1.0) & (x < float(whole.max) + 1.0)
    return tf.reduce_all(inside, axis=list(range(1, len(x.shape))))
