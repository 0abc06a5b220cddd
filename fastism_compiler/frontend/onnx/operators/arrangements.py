"""Operators that move, copy, cut or look up elements."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from keras import ops

from fastism_compiler.frontend.builder import Decline, refuse_batch
from fastism_compiler.frontend.counts import SEQUENCES, Varying, common
from fastism_compiler.frontend.onnx import strands
from fastism_compiler.frontend.onnx.batch import axis_of_sequences
from fastism_compiler.frontend.onnx.call import Call, Rule
from fastism_compiler.frontend.onnx.views import View, reshaped, single, together
from fastism_compiler.ir import Node


def _pair(x: Any) -> tuple[Any, Any]:
    """The values of a constant for the two numbers of sequences."""
    return x.pair if isinstance(x, Varying) else (x, x)


def _in_shape(call: Call, shape_of: Callable[[Sequence[int], int], Sequence[int]]) -> View:
    """Reshape the first operand to `shape_of(its shape, i)`, for the i-th of the two numbers of sequences."""
    return _shaped(call, call.view(0), shape_of)


def _shaped(call: Call, view: View, shape_of: Callable[[Sequence[int], int], Sequence[int]]) -> View:
    shapes = [list(shape_of(view.shape(n), which)) for which, n in enumerate(SEQUENCES)]
    return reshaped(call.builder, view, shapes, SEQUENCES)


def _reshape(call: Call) -> View:
    view, targets = call.view(0), _pair(call.operands[1])
    if any(isinstance(t, View) for t in targets):
        raise Decline("a shape that depends on the sequence")

    def shape_of(own: Sequence[int], which: int) -> list[int]:
        keeps = not call.get("allowzero", 0)
        shape = [own[i] if n == 0 and keeps else int(n) for i, n in enumerate(targets[which].tolist())]
        known = math.prod(n for n in shape if n != -1)
        return [math.prod(own) // known if n == -1 else n for n in shape]

    def shape_of_one(_: Sequence[int], which: int) -> list[int]:
        shape = shape_of(view.shape(1), which)
        axis = axis_of_sequences(view.before, shape)
        if axis is not None:
            shape[axis] *= SEQUENCES[which]
        return shape

    fixed = call.one and not isinstance(call.operands[1], Varying)
    return _in_shape(call, shape_of_one if fixed else shape_of)


def _flatten(call: Call) -> View:
    axis = call.get("axis", 1)
    at = axis if axis >= 0 else axis + call.view(0).rank
    return _in_shape(call, lambda own, _: (math.prod(own[:at]), math.prod(own[at:])))


def _squeeze(call: Call) -> View:
    view, axes = call.view(0), call.option("axes", 1)
    gone = {call.axis(a) for a in axes} if axes else {i for i, n in enumerate(view.shape(SEQUENCES[0])) if n == 1}
    return _in_shape(call, lambda own, _: [n for i, n in enumerate(own) if i not in gone])


def _unsqueeze(call: Call) -> View:
    axes = call.option("axes", 1)
    rank = call.view(0).rank + len(axes)
    new = {a % rank for a in axes}

    def shape_of(own: Sequence[int], _: int) -> list[int]:
        sizes = iter(own)
        return [1 if i in new else next(sizes) for i in range(rank)]

    return _in_shape(call, shape_of)


def _transpose(call: Call) -> View:
    view = call.view(0)
    return view.permuted(call.get("perm") or tuple(reversed(range(view.rank))))


def _expand(call: Call) -> View:
    view, targets = call.view(0), _pair(call.operands[1])
    one, two = (list(np.broadcast_shapes(view.shape(n), tuple(t))) for n, t in zip(SEQUENCES, targets, strict=True))
    view = replace(view, axes=((),) * (len(one) - view.rank) + view.axes)
    if (one[view.batch], two[view.batch]) != tuple(view.extent(view.batch, n) for n in SEQUENCES):
        raise refuse_batch(call.builder, "ONNX's Expand")
    for axis, extent in enumerate(one):
        if axis != view.batch and extent != view.extent(axis):
            view, inner = single(call.builder, view, axis)
            shape = tuple(extent if a == inner else view.node.type.extent(a) for a in range(1, view.node.type.rank))
            view = view.over(call.builder.add("broadcast", view.node, shape=shape))
    return view


def _slice(call: Call) -> View:
    view = call.view(0)
    if any(isinstance(x, Varying) for x in call.operands):
        return _cut_of_sequences(call, view)
    starts, ends = call.option("starts", 1), call.option("ends", 2)
    axes, steps = call.option("axes", 3, range(len(starts))), call.option("steps", 4, [1] * len(starts))
    for given, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis = call.axis(given, view)
        lengths = [view.extent(axis, n) for n in SEQUENCES]
        if all(range(*slice(start, end, step).indices(n)) == range(n) for n in lengths):
            continue
        view, inner = _one_axis(call, view, axis)
        # an end before the first position is written as a large negative number
        places = slice(start, None if step < 0 and end < -lengths[0] else end, step)
        view = view.over(_item(call, view.node, inner, places))
    return view


def _cut_of_sequences(call: Call, view: View) -> View:
    """A slice whose bounds depend on the number of sequences: some of several strands."""
    starts, ends = (_pair(call.operands[i]) for i in (1, 2))
    axes, steps = call.option("axes", 3, [0]), call.option("steps", 4, [1])
    if [call.axis(a, view) for a in axes] != [view.batch] or list(steps) != [1]:
        raise Decline("a slice whose bounds depend on the number of sequences")
    lengths = [view.extent(view.batch, n) for n in SEQUENCES]
    pairs = [slice(int(a), int(b)).indices(n)[:2] for (a,), (b,), n in zip(starts, ends, lengths, strict=True)]
    return strands.cut(call.builder, view, pairs)


def _one_axis(call: Call, view: View, axis: int) -> tuple[View, int]:
    if 0 in view.axes[axis]:
        raise refuse_batch(call.builder, f"ONNX's {call.kind}")
    return single(call.builder, view, axis)


def _item(call: Call, node: Node, axis: int, places: slice) -> Node:
    made: Node = call.follow(lambda t: t[(*[slice(None)] * axis, places)], node)
    return made


def _split(call: Call) -> list[View]:
    if call.axis(call.get("axis", 0)) == call.view(0).batch:
        return _split_of_sequences(call, call.view(0))
    view, _, inner = call.along(call.get("axis", 0))
    length = view.node.type.extent(inner)
    sizes, count = call.option("split", 1), call.get("num_outputs", call.results)
    if sizes is None:
        block = math.ceil(length / count)
        sizes = [min(block, length - i * block) for i in range(count)]
    ends = np.cumsum([0, *sizes]).tolist()
    return [view.over(call.builder.add("slice", view.node, axis=inner, begin=a, end=b)) for a, b in pairwise(ends)]


def _split_of_sequences(call: Call, view: View) -> list[View]:
    """A split along the axis of the sequences: each part is some of the strands."""
    lengths = [view.extent(view.batch, n) for n in SEQUENCES]
    sizes = _pair(call.operands[1]) if call.given(1) else [[n // call.results] * call.results for n in lengths]
    ends = [np.cumsum([0, *own]).tolist() for own in sizes]
    if [own[-1] for own in ends] != lengths:
        raise Decline("a choice of some sequences")
    return [strands.cut(call.builder, view, pair) for pair in _pairs_of(ends)]


def _pairs_of(ends: Sequence[Sequence[int]]) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Begin and end of each part, for each of the two numbers of sequences."""
    one, two = (list(pairwise(own)) for own in ends)
    return [((a, b), (c, d)) for (a, b), (c, d) in zip(one, two, strict=True)]


def _concat(call: Call) -> View:
    axis = call.axis(call.get("axis"), next(x for x in call.operands if isinstance(x, View)))
    # each constant is joined to the view before it, leading ones to the first view
    parts: list[tuple[list[Any], View, list[Any]]] = []
    leading: list[Any] = []
    for x in call.operands:
        if isinstance(x, View):
            parts.append((leading, x, []))
            leading = []
        else:
            (parts[-1][2] if parts else leading).append(x)
    views = [_between_constants(call, x, axis, before, after) for before, x, after in parts]
    if len(views) == 1:
        return views[0]
    if axis == views[0].batch:
        return strands.joined(call.builder, views)
    views = [_one_axis(call, x, axis)[0] for x in views]
    laid = together(call.builder, views, free=axis)
    (inner,) = laid.axes[axis]
    return laid.view(call.builder.add("concat", *laid.operands, axis=inner))


def _between_constants(call: Call, view: View, axis: int, before: Sequence[Any], after: Sequence[Any]) -> View:
    """Concatenate a tensor with constants (the same for every sequence): pad it, then add their values there."""
    left, right = ([_of_each_sequence(x, view.batch) for x in part] for part in (before, after))
    if not left and not right:
        return view
    view, inner = _one_axis(call, view, axis)
    numbers = np.unique(np.concatenate([x.ravel() for x in (*left, *right)]))
    widths = [(0, 0)] * view.node.type.rank
    widths[inner] = sum(x.shape[axis] for x in left), sum(x.shape[axis] for x in right)
    value = numbers.item() if len(numbers) == 1 else 0
    padded = view.over(_padded(call, view.node, widths, "constant", value))
    if len(numbers) == 1:
        return padded
    shape = list((*left, *right)[0].shape)
    shape[axis] = view.extent(axis)
    return call.add("add", padded, np.concatenate([*left, np.zeros(shape, numbers.dtype), *right], axis))


def _of_each_sequence(x: Any, batch: int) -> Any:
    """A constant that a model repeats for each sequence, as it is for one sequence."""
    one, two = (np.moveaxis(v, batch, 0) for v in _pair(x))
    once = Varying((one, two)).once
    if once is None:
        raise Decline("a concatenation with a constant of a fixed number of sequences")
    return np.moveaxis(once, 0, batch)


def _pad(call: Call) -> View:
    view, mode = call.view(0), call.get("mode", "constant")
    if mode not in ("constant", "reflect", "edge"):
        raise Decline(f"the mode {mode!r}")
    pads = call.option("pads", 1)
    value = call.get("value", call.constant(2))
    value = 0 if value is None else np.asarray(value).item()
    axes = call.constant(3)
    axes = range(view.rank) if axes is None else axes.tolist()
    for axis, left, right in zip(axes, pads[: len(axes)], pads[len(axes) :], strict=True):
        if left == right == 0:
            continue
        view, inner = _one_axis(call, view, call.axis(axis, view))
        length = view.node.type.extent(inner)
        if min(left, right) < 0:
            cut = slice(max(-left, 0), length - max(-right, 0))
            view = view.over(_item(call, view.node, inner, cut))
        widths = [(0, 0)] * view.node.type.rank
        widths[inner] = max(left, 0), max(right, 0)
        if widths[inner] != (0, 0):
            view = view.over(_padded(call, view.node, widths, mode, value))
    return view


def _padded(call: Call, node: Node, widths: Sequence[tuple[int, int]], mode: str, value: float) -> Node:
    given = {"constant_values": value} if mode == "constant" else {}
    made: Node = call.follow(lambda t: ops.pad(t, widths, mode=mode, **given), node)
    return made


def _gather(call: Call) -> View:
    axis = call.get("axis", 0)
    if isinstance(call.operands[0], np.ndarray):
        return _embedding(call, call.operands[0], axis)
    view, axis, _ = call.along(axis)
    return _taken(call, view, axis, call.constant(1))


def _gather_nd(call: Call) -> View:
    """Elements by their places along the first axes."""
    view, places = call.view(0), call.constant(1)
    known = places.shape[-1]
    if call.get("batch_dims", 0) or view.batch < known:
        raise refuse_batch(call.builder, "ONNX's GatherND")
    extents = [view.extent(axis) for axis in range(known)]
    merged = _shaped(call, view, lambda own, _: [math.prod(extents), *own[known:]])
    return _taken(call, merged, 0, np.ravel_multi_index(tuple(np.moveaxis(places % extents, -1, 0)), extents))


def _taken(call: Call, view: View, axis: int, places: Any) -> View:
    """Elements at constant indices along one axis, which is replaced by the axes of `places`."""
    view, inner = single(call.builder, view, axis)
    if np.array_equal(places, range(view.extent(axis))):
        return view
    taken = view.over(call.follow(lambda t: ops.take(t, places.ravel(), axis=inner), view.node))
    if places.ndim == 1:
        return taken
    return _shaped(call, taken, lambda own, _: [*own[:axis], *places.shape, *own[axis + 1 :]])


def _embedding(call: Call, table: Any, axis: int) -> View:
    """Rows of a table, one for each token."""
    if axis % table.ndim != 0 or table.ndim != 2:
        raise Decline("a lookup along another axis than that of the tokens")
    tokens = call.view(1)
    node = call.builder.add("embedding", tokens.node, table)
    return View(node, (*tokens.axes, (node.type.rank - 1,)))


def _one_hot(call: Call) -> View:
    depth, values = int(call.constant(1).item()), call.constant(2)
    tokens = call.view(0)
    if values.tolist() != [0, 1] or call.get("axis", -1) not in (-1, tokens.rank):
        raise Decline("another axis than the last, or other numbers than 0 and 1")
    node = tokens.node
    if node.type.dtype not in ("int32", "int64"):
        node = call.builder.add("cast", node, dtype="int32")
    node = call.follow(lambda t: ops.where(t < 0, t + depth, t), node)  # -1 is the last
    made = call.builder.add("one_hot", node, depth=depth, dtype=str(values.dtype))
    return View(made, (*tokens.axes, (made.type.rank - 1,)))


def _tile(call: Call) -> View:
    view, times = call.view(0), call.constant(1).tolist()
    for axis, count in enumerate(times):
        if count > 1:
            view, inner = _one_axis(call, view, axis)
            counts = [count if a == inner else 1 for a in range(view.node.type.rank)]
            view = view.over(call.follow(lambda t, counts=counts: ops.tile(t, counts), view.node))
    return view


_REPEATS = {
    ("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil"),
    ("pytorch_half_pixel", "round_prefer_floor"), ("half_pixel_symmetric", "round_prefer_floor"),
}  # fmt: skip
"""Coordinate and rounding modes that, for whole factors, just repeat each position."""


def _resize(call: Call) -> View:
    """Resize and Upsample, by whole factors: the nearest neighbour, or between two neighbours."""
    view, mode = call.view(0), call.get("mode", "nearest")
    how = call.get("coordinate_transformation_mode", "half_pixel"), call.get("nearest_mode", "round_prefer_floor")
    if call.kind == "Upsample" or call.opset < 11:  # before there were modes
        how = "asymmetric", "floor"
    known = how in _REPEATS if mode == "nearest" else mode == "linear" and how[0] in _CENTRED
    if not known:
        raise Decline(f"interpolation ({mode}, {', '.join(how)})")
    for axis, factor in enumerate(_factors(call, view)):
        if factor == 1:
            continue
        view, inner = _one_axis(call, view, axis)
        if mode == "nearest":
            view = view.over(call.builder.add("upsample", view.node, axis=inner, size=factor))
        else:
            view = view.over(_interpolated(call, view.node, inner, factor, _CENTRED[how[0]]))
    return view


_CENTRED = {"half_pixel": True, "pytorch_half_pixel": True, "half_pixel_symmetric": True, "asymmetric": False}
"""Coordinates of linear interpolation by whole factors: whether a position stands in the middle of its copies."""


def _interpolated(call: Call, node: Node, axis: int, factor: int, centred: bool) -> Node:
    """Linear interpolation: every position repeated, then the mean over `factor` neighbours.

    The ends are repeated once more. The neighbours lie around each copy, or begin at it; of an even number of
    them around it, the first and the last count half.
    """
    length = node.type.extent(axis)
    count = factor + 1 - factor % 2 if centred else factor
    weights = [1 / factor] * count
    if count > factor:
        weights[0] = weights[-1] = 0.5 / factor
    begin = factor - (count // 2 if centred else 0)
    widths = [(1, 1) if a == axis else (0, 0) for a in range(node.type.rank)]

    def mean(t: Any) -> Any:
        copies = ops.repeat(ops.pad(t, widths, mode="edge"), factor, axis=axis)
        before = [slice(None)] * axis
        parts = [copies[(*before, slice(begin + k, begin + k + length * factor))] for k in range(count)]
        return sum(part * weight for part, weight in zip(parts, weights, strict=True))

    made: Node = call.follow(mean, node)
    return made


def _factors(call: Call, view: View) -> list[int]:
    """By how much each axis grows."""
    shape = view.shape(SEQUENCES[0])
    if call.given(3):
        sizes = _pair(call.operands[3])[0].tolist()
        scales = [n / m for n, m in zip(sizes, shape, strict=True)]
    else:
        scales = call.option("scales", 1 if call.kind == "Upsample" or len(call.operands) == 2 else 2)
    if any(s != int(s) or s < 1 for s in scales) or call.get("axes"):
        raise Decline("factors that are not whole numbers, or the attribute axes")
    return [int(s) for s in scales]


def _shape(call: Call) -> Any:
    view = call.view(0)
    part = slice(call.get("start", 0), call.get("end"))
    one, two = (np.array(view.shape(n)[part], np.int64) for n in SEQUENCES)
    return common(one, two)


OPERATORS: dict[str, Rule] = {
    "Concat": _concat,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Upsample": _resize,
}
"""ONNX operator -> lowering rule."""
