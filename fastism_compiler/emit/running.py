"""Aggregates over positions from three parts: before the window (reference), inside it, and after it (reference)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.positions import between
from fastism_compiler.ir import Node

State = tuple[Tensor, ...]
"""What is kept of some positions: one tensor, or several."""


@dataclass(frozen=True, slots=True)
class Combination:
    """An associative aggregate: how the states of two parts combine.

    Attributes:
        lift: the state of each position alone: `(node, x) -> state`.
        pair: the state of two parts together, element-wise: `(a, b) -> state`.
        reduce: the state of all that lies on some axes, which stay as 1: `(state, axes) -> state`.
        nothing: the state of no positions, one number per tensor.
        result: the aggregate of a state.
    """

    lift: Callable[[Node, Tensor], State]
    pair: Callable[[State, State], State]
    reduce: Callable[[State, list[int]], State]
    nothing: tuple[float, ...]
    result: Callable[[State], Tensor]


def _single(pair: Callable[[Tensor, Tensor], Tensor], reduce: Callable[..., Tensor], nothing: float) -> Combination:
    """A combination whose state is the aggregate itself."""
    return Combination(
        lambda node, x: (x,),
        lambda a, b: (pair(a[0], b[0]),),
        lambda state, axes: (reduce(state[0], axis=axes, keepdims=True),),
        (nothing,),
        lambda state: state[0],
    )


def _log_add_exp(a: Tensor, b: Tensor) -> Tensor:
    largest = tf.maximum(a, b)
    return tf.where(tf.math.is_finite(largest), largest + tf.math.log1p(tf.exp(-tf.abs(a - b))), largest)


def _scores_and_values(node: Node, z: Tensor) -> State:
    """Each position's score, its weight relative to that, and its value times that weight."""
    values, scores = z[..., : node.attrs["split"]], z[..., node.attrs["split"] :]
    return scores, tf.ones_like(scores), values


def _weight(scores: Tensor, largest: Tensor) -> Tensor:
    """`exp(scores - largest)`; 0 where there are no positions, without NaN on the way, which gradients would see."""
    some = scores != -math.inf
    return tf.where(some, tf.exp(tf.where(some, scores - largest, 0.0)), 0.0)


def _pair_of_pools(a: State, b: State) -> State:
    largest = tf.maximum(a[0], b[0])
    first, second = _weight(a[0], largest), _weight(b[0], largest)
    return largest, first * a[1] + second * b[1], first * a[2] + second * b[2]


def _pool(state: State, axes: list[int]) -> State:
    scores, weights, values = state
    largest = tf.reduce_max(scores, axis=axes, keepdims=True)
    scale = _weight(scores, largest)
    weights, values = (tf.reduce_sum(scale * x, axis=axes, keepdims=True) for x in (weights, values))
    return largest, weights, values


COMBINATIONS = {
    "window_max": _single(tf.maximum, tf.reduce_max, -math.inf),
    "window_min": _single(tf.minimum, tf.reduce_min, math.inf),
    "window_logsumexp": _single(_log_add_exp, tf.reduce_logsumexp, -math.inf),
    "window_softmax_pool": Combination(
        _scores_and_values, _pair_of_pools, _pool, (-math.inf, 0.0, 0.0), lambda state: state[2] / state[1]
    ),
}
"""Tile op -> how its parts combine."""


def aggregated_axes(node: Node) -> list[int]:
    """The axes that an aggregation reduces."""
    return list(node.attrs["axes"]) if "axes" in node.attrs else [node.attrs["axis"]]


def running_tables(node: Node, table: Tensor, axis: int) -> tuple[State, State]:
    """The state of all positions before, and from, each of `0 .. length`: `[B, length + 1, ...]` each."""
    how = COMBINATIONS[node.op]
    others = [a for a in aggregated_axes(node) if a != axis]
    lifted = how.lift(node, table)
    states = tuple(to_front(x, axis) for x in (how.reduce(lifted, others) if others else lifted))
    length = states[0].shape[1]
    nothing = tuple(
        tf.fill(tf.shape(between(x, 0, 1)), tf.constant(n, x.dtype)) for x, n in zip(states, how.nothing, strict=True)
    )

    def running(state: State) -> State:
        step = 1
        while step < length:
            later, earlier = (tuple(between(x, *part) for x in state) for part in ((step, length), (0, length - step)))
            further = how.pair(later, earlier)
            state = tuple(tf.concat([between(x, 0, step), y], axis=1) for x, y in zip(state, further, strict=True))
            step *= 2
        return state

    def behind_nothing(state: State) -> State:
        return tuple(tf.concat([n, x], axis=1) for n, x in zip(nothing, running(state), strict=True))

    before = behind_nothing(states)
    after = behind_nothing(tuple(tf.reverse(x, [1]) for x in states))
    return before, tuple(tf.reverse(x, [1]) for x in after)


def masked_state(how: Combination, state: State, keep: Callable[[Tensor, float], Tensor]) -> State:
    """A state in which masked positions count as no positions; `keep(x, fill)` masks one tensor."""
    return tuple(keep(x, n) for x, n in zip(state, how.nothing, strict=True))


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
    """Move positions from axis 1 back to `axis`."""
    if axis == 1:
        return x
    order = list(range(len(x.shape)))
    order.insert(axis, order.pop(1))
    return tf.transpose(x, order)
