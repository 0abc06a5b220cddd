"""Aggregates over positions from three parts: before the window (reference), inside it, and after it (reference)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.ir import Node


@dataclass(frozen=True, slots=True)
class Combination:
    """An associative way to put two parts together.

    Attributes:
        pair: `(a, b) -> a and b`, element-wise.
        reduce: the same over axes: `(x, axis=..., keepdims=...)`.
        nothing: the result over no positions.
    """

    pair: Callable[[Tensor, Tensor], Tensor]
    reduce: Callable[..., Tensor]
    nothing: float


def _log_add_exp(a: Tensor, b: Tensor) -> Tensor:
    largest = tf.maximum(a, b)
    return tf.where(tf.math.is_finite(largest), largest + tf.math.log1p(tf.exp(-tf.abs(a - b))), largest)


COMBINATIONS = {
    "window_max": Combination(tf.maximum, tf.reduce_max, -math.inf),
    "window_min": Combination(tf.minimum, tf.reduce_min, math.inf),
    "window_logsumexp": Combination(_log_add_exp, tf.reduce_logsumexp, -math.inf),
}
"""Tile op -> how its parts combine."""


def running_tables(node: Node, table: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The aggregate over all positions before, and from, each of `0 .. length`: `[B, length + 1, ...]`."""
    how = COMBINATIONS[node.op]
    others = [a for a in node.attrs["axes"] if a != axis]
    table = to_front(how.reduce(table, axis=others, keepdims=True) if others else table, axis)
    nothing = tf.fill(tf.shape(table[:, :1]), tf.constant(how.nothing, table.dtype))

    def running(x: Tensor) -> Tensor:
        step = 1
        while step < table.shape[1]:
            x = tf.concat([x[:, :step], how.pair(x[:, step:], x[:, :-step])], axis=1)
            step *= 2
        return x

    before = tf.concat([nothing, running(table)], axis=1)
    after = tf.reverse(tf.concat([nothing, running(tf.reverse(table, [1]))], axis=1), [1])
    return before, after


def at(table: Tensor, sequence: Tensor, position: Tensor) -> Tensor:
    """`table[sequence, position]` of `[B, length, ...]`, one entry per row."""
    return tf.gather(tf.reshape(table, [-1, *table.shape[2:]]), sequence * table.shape[1] + position)


def to_front(x: Tensor, axis: int) -> Tensor:
    """Move positions to axis 1."""
    if axis == 1:
        return x
    order = [0, axis, *[i for i in range(1, len(x.shape)) if i != axis]]
    return tf.transpose(x, order)


def from_front(x: Tensor, axis: int) -> Tensor:
    """Move positions from axis 1 back to where they belong."""
    if axis == 1:
        return x
    order = list(range(len(x.shape)))
    order.insert(axis, order.pop(1))
    return tf.transpose(x, order)
