"""Lowering rules for `keras.ops` that move, copy or cut positions: split, stack, pad, roll, take, repeat, tile."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from fastism_compiler.frontend.builder import Builder, Decline, is_fixed, refuse_batch
from fastism_compiler.ir import Node

_MOST_RUNS = 32
"""Maximum number of parts (runs of neighbours, elements, copies) that one operation is lowered to."""


def inner_axis(builder: Builder, axis: Any, rank: int, what: str) -> int:
    """An axis behind the batch, counted from the front.

    Raises:
        UnsupportedError: the batch axis.
        Decline: no single axis.
    """
    if axis is None or isinstance(axis, tuple | list):
        raise Decline(f"{what} without a single axis")
    return inner_axes(builder, axis, rank, what)[0]


def inner_axes(builder: Builder, axes: Any, rank: int, what: str) -> tuple[int, ...]:
    """Axes behind the batch, one or several, counted from the front and sorted.

    Raises:
        UnsupportedError: the batch axis, or no axes, which means all.
    """
    chosen = axes if isinstance(axes, tuple | list) else (axes,)
    if axes is None or any(a % rank == 0 for a in chosen):
        raise refuse_batch(builder, f"{what} over the batch")
    return tuple(sorted(int(a) % rank for a in chosen))


def cut(builder: Builder, x: Node, axis: int, begin: int, end: int) -> Node:
    """Positions `[begin, end)` of an axis."""
    return builder.add("slice", x, axis=axis, begin=begin, end=end)


def without(builder: Builder, x: Node, *axes: int) -> Node:
    """`x` without some axes of one element."""
    if not axes:
        return x
    return builder.add("reshape", x, shape=tuple(x.type.extent(i) for i in range(1, x.type.rank) if i not in axes))


def with_axis(builder: Builder, x: Node, axis: int) -> Node:
    """`x` with a new axis of one element."""
    sizes = [x.type.extent(i) for i in range(1, x.type.rank)]
    return builder.add("reshape", x, shape=(*sizes[: axis - 1], 1, *sizes[axis - 1 :]))


def joined(builder: Builder, parts: Sequence[Node], axis: int) -> Node:
    """Several values concatenated; a single one stays as it is."""
    return parts[0] if len(parts) == 1 else builder.add("concat", *parts, axis=axis)


def split(builder: Builder, operation: Any, x: Node) -> list[Node]:
    """split and array_split into equal parts or at given places."""
    axis = inner_axis(builder, operation.axis, x.type.rank, "a split")
    length, places = x.type.extent(axis), operation.indices_or_sections
    ends = [len(p) for p in np.array_split(np.arange(length), places)] if isinstance(places, int) else None
    cuts = [0, *(np.cumsum(ends).tolist() if ends else [min(int(p), length) for p in places] + [length])]
    if any(b <= a for a, b in pairwise(cuts)):
        raise Decline("a split with an empty part")
    return [cut(builder, x, axis, a, b) for a, b in pairwise(cuts)]


def unstack(builder: Builder, operation: Any, x: Node) -> list[Node]:
    """unstack: every element of an axis by itself."""
    axis = inner_axis(builder, operation.axis, x.type.rank, "an unstack")
    if x.type.extent(axis) > _MOST_RUNS:
        raise Decline("an unstack of a long axis")
    return [without(builder, cut(builder, x, axis, i, i + 1), axis) for i in range(x.type.extent(axis))]


def stack(builder: Builder, operation: Any, xs: Sequence[Any]) -> Node:
    """stack on a new axis behind the batch."""
    nodes = [builder.node(x) for x in xs]
    if not all(n.type.batched for n in nodes):
        raise Decline("a stack with a constant array")
    axis = inner_axis(builder, operation.axis, nodes[0].type.rank + 1, "a stack")
    return joined(builder, [with_axis(builder, n, axis) for n in nodes], axis)


def pad(builder: Builder, operation: Any, x: Node, constant_values: Any = None) -> Node:
    """pad with zeros or another constant, with the nearest position, or mirrored."""
    widths = operation.pad_width
    widths = ((widths, widths),) if isinstance(widths, int) else tuple(widths)
    if widths and isinstance(widths[0], int):
        widths = (widths,)
    widths = widths * x.type.rank if len(widths) == 1 else widths
    if tuple(widths[0]) != (0, 0):
        raise refuse_batch(builder, "padding of the batch")
    for axis, (left, right) in enumerate(widths):
        if axis and (left or right):
            x = _padded(builder, x, axis, int(left), int(right), operation.mode, constant_values)
    return x


def _padded(builder: Builder, x: Node, axis: int, left: int, right: int, mode: str, value: Any) -> Node:
    length = x.type.extent(axis)
    if mode == "constant":
        if value is None or value == 0:
            return builder.add("pad", x, axis=axis, left=left, right=right)
        if not is_fixed(value) or not np.isfinite(value) or x.type.dtype == "bool":
            raise Decline("padding with a variable, a truth value or a number that is not finite")
        zeros = np.zeros(length, x.type.dtype)
        beside = np.pad(zeros, (left, right), constant_values=value).reshape(-1, *[1] * (x.type.rank - axis - 1))
        # 0 is added to the positions inside, which changes no digit
        return builder.add("add", builder.add("pad", x, axis=axis, left=left, right=right), beside)
    if mode == "edge":
        ends = [(left, 0), (right, length - 1)]
        sides = [
            [builder.add("upsample", cut(builder, x, axis, at, at + 1), axis=axis, size=n)] if n else []
            for n, at in ends
        ]
    elif mode in ("reflect", "symmetric") and max(left, right) <= length - (mode == "reflect"):
        own = int(mode == "reflect")
        pieces = [(left, own), (right, length - own - right)]
        sides = [[builder.add("flip", cut(builder, x, axis, at, at + n), axis=axis)] if n else [] for n, at in pieces]
    else:
        raise Decline(f"padding of mode {mode}")
    return joined(builder, [*sides[0], x, *sides[1]], axis)


def roll(builder: Builder, operation: Any, x: Node) -> Node:
    """roll along one axis or several."""
    axes = operation.axis if isinstance(operation.axis, tuple | list) else (operation.axis,)
    shifts = operation.shift if isinstance(operation.shift, tuple | list) else (operation.shift,) * len(axes)
    for a, shift in zip(axes, shifts, strict=True):
        axis = inner_axis(builder, a, x.type.rank, "a roll")
        length = x.type.extent(axis)
        first = length - shift % length
        if first < length:
            x = joined(builder, [cut(builder, x, axis, first, length), cut(builder, x, axis, 0, first)], axis)
    return x


def take(builder: Builder, operation: Any, x: Node, indices: Any) -> Node:
    """take with constant indices: equal steps, or runs of neighbours in either direction."""
    axis = inner_axis(builder, operation.axis, x.type.rank, "a choice of elements")
    if not is_fixed(indices):
        raise Decline("a choice of elements by computed indices")
    chosen = np.asarray(indices)
    length = x.type.extent(axis)
    if chosen.ndim > 1 or chosen.size == 0 or (chosen >= length).any() or (chosen < -length).any():
        raise Decline("a choice of elements by a table of indices")
    places = np.atleast_1d(chosen) % length
    step = np.diff(places)
    if len(places) > 1 and (step == step[0]).all() and abs(step[0]) > 1:
        return strided(builder, x, axis, places.tolist())
    parts = [strided(builder, x, axis, run) for run in _runs(places)]
    taken = joined(builder, parts, axis)
    return without(builder, taken, axis) if chosen.ndim == 0 else taken


def strided(builder: Builder, x: Node, axis: int, places: Sequence[int]) -> Node:
    """Positions at equal distances, in either direction."""
    step = places[1] - places[0] if len(places) > 1 else 1
    x = cut(builder, x, axis, min(places), max(places) + 1)
    if abs(step) > 1:
        x = builder.add("subsample", x, axis=axis, step=abs(step))
    return x if step > 0 else builder.add("flip", x, axis=axis)


def _runs(places: Any) -> list[Any]:
    """Indices split into runs of consecutive ones, ascending or descending."""
    runs: list[list[int]] = []
    for place in places.tolist():
        run = runs[-1] if runs else []
        if run and abs(place - run[-1]) == 1 and (len(run) == 1 or place - run[-1] == run[-1] - run[-2]):
            run.append(place)
        else:
            runs.append([place])
    if len(runs) > _MOST_RUNS:
        raise Decline("a choice of elements in no order")
    return runs


def repeat(builder: Builder, operation: Any, x: Node) -> Node:
    """repeat: every element of an axis several times."""
    axis = inner_axis(builder, operation.axis, x.type.rank, "a repetition")
    if not isinstance(operation.repeats, int):
        raise Decline("a repetition of unequal counts")
    return builder.add("upsample", x, axis=axis, size=operation.repeats)


def tile(builder: Builder, operation: Any, x: Node) -> Node:
    """tile: whole axes repeated."""
    times = [operation.repeats] if isinstance(operation.repeats, int) else list(operation.repeats)
    times = [1] * (x.type.rank - len(times)) + times
    if len(times) > x.type.rank or times[0] != 1:
        raise refuse_batch(builder, "repeats of the batch")
    for axis, count in enumerate(times):
        if count > _MOST_RUNS:
            raise Decline("an axis repeated many times")
        x = joined(builder, [x] * count, axis)
    return x


def moveaxis(builder: Builder, operation: Any, x: Node) -> Node:
    """moveaxis behind the batch."""
    sources, targets = ([n] if isinstance(n, int) else list(n) for n in (operation.source, operation.destination))
    perm = [i for i in range(x.type.rank) if i not in [s % x.type.rank for s in sources]]
    pairs = sorted((t % x.type.rank, s % x.type.rank) for s, t in zip(sources, targets, strict=True))
    for target, source in pairs:
        perm.insert(target, source)
    if perm[0] != 0:
        raise Decline("a transpose of the batch axis")
    return builder.add("transpose", x, perm=tuple(perm))


def broadcast_to(builder: Builder, operation: Any, x: Node) -> Node:
    """broadcast_to behind the batch axis."""
    shape = tuple(operation.shape)
    if len(shape) != x.type.rank or shape[0] not in (None, -1):
        raise Decline("a broadcast of the batch axis")
    return builder.add("broadcast", x, shape=tuple(int(n) for n in shape[1:]))


def append(builder: Builder, operation: Any, x: Any, y: Any) -> Node:
    """append: two values behind each other."""
    if operation.axis is None:
        raise refuse_batch(builder, "an append of all elements")
    nodes = [builder.node(v) for v in (x, y)]
    if not all(n.type.batched for n in nodes):
        raise Decline("an append of a constant array")
    return joined(builder, nodes, inner_axis(builder, operation.axis, nodes[0].type.rank, "an append"))


def mirrored(builder: Builder, operation: Any, x: Node) -> Node:
    """fliplr: axis 1, reversed."""
    return builder.add("flip", x, axis=1)


def differences(builder: Builder, operation: Any, x: Node) -> Node:
    """diff: each element less the one before it, once or several times."""
    axis = inner_axis(builder, operation.axis, x.type.rank, "differences")
    if x.type.dtype == "bool" or operation.n >= x.type.extent(axis):
        raise Decline("differences of truth values, or of too few elements")
    for _ in range(operation.n):
        end = x.type.extent(axis)
        x = builder.add("subtract", cut(builder, x, axis, 1, end), cut(builder, x, axis, 0, end - 1))
    return x


def copy(builder: Builder, operation: Any, x: Node) -> Node:
    """copy, stop_gradient: nothing in inference."""
    return builder.add("identity", x)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Split": split,
    "ArraySplit": split,
    "Unstack": unstack,
    "Stack": stack,
    "Pad": pad,
    "Roll": roll,
    "Take": take,
    "Repeat": repeat,
    "Tile": tile,
    "Append": append,
    "Diff": differences,
    "Fliplr": mirrored,
    "Moveaxis": moveaxis,
    "BroadcastTo": broadcast_to,
    "Copy": copy,
    "StopGradient": copy,
}
"""Class name of a `keras.ops` operation -> lowering rule."""
