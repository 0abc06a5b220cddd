"""Operators that read whole axes: sums, means, softmax, norms, sorts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from keras import ops

from fastism_compiler.frontend.builder import Decline, refuse_batch
from fastism_compiler.frontend.onnx.call import Call, Rule
from fastism_compiler.frontend.onnx.views import View, permuted_node, plain
from fastism_compiler.ir import Node
from fastism_compiler.ir.types import FLOATS


def _axes(call: Call, view: View, axes: Iterable[int] | None) -> list[int]:
    """Axes of the tensor counted from the front, none of them that of the sequences."""
    chosen = sorted({call.axis(a, view) for a in axes} if axes is not None else range(view.rank))
    if view.batch in chosen:
        raise refuse_batch(call.builder, f"ONNX's {call.kind}")
    return chosen


def _inner(view: View, axes: Iterable[int]) -> tuple[int, ...]:
    """The axes of the node that are part of these."""
    return tuple(sorted(a for i in axes for a in view.axes[i]))


def reduced(call: Call, kind: str, view: View, axes: Sequence[int], keep: bool) -> View:
    """A reduction op of the graph over axes of the tensor."""
    inner = _inner(view, axes)
    if view.node.type.dtype not in FLOATS:
        raise Decline(f"a reduction of {view.node.type.dtype}")
    node = call.builder.add(kind, view.node, axes=inner, keepdims=False) if inner else view.node
    return view.without(axes, keep, node)


def _reduction(kind: str, before: str | None = None, after: str | None = None) -> Rule:
    """A reduction, after an element-wise op `before` and followed by an op `after`."""

    def rule(call: Call) -> View:
        view, axes = call.view(0), call.option("axes", 1)
        if not axes and call.get("noop_with_empty_axes", 0):
            if before or after:
                raise Decline("noop_with_empty_axes, of which runtimes and specification say different things")
            return view
        view = call.add(before, view) if before else view
        made = reduced(call, kind, view, _axes(call, view, axes or None), bool(call.get("keepdims", 1)))
        return call.add(after, made) if after else made

    return rule


def _product(call: Call) -> View:
    view = call.view(0)
    axes = _axes(call, view, call.option("axes", 1) or None)
    node = call.follow(lambda t: ops.prod(t, axis=_inner(view, axes)), view.node)
    return view.without(axes, bool(call.get("keepdims", 1)), node)


def _global(kind: str) -> Rule:
    """A pool over all positions."""

    def rule(call: Call) -> View:
        view = call.view(0)
        return reduced(call, kind, view, _axes(call, view, range(2, view.rank)), keep=True)

    return rule


def _softmax(kind: str) -> Rule:
    def rule(call: Call) -> View:
        view = call.view(0)
        axis = call.axis(call.get("axis", 1 if call.opset < 13 else -1), view)
        axes = _axes(call, view, range(axis, view.rank) if call.opset < 13 else [axis])
        inner = _inner(view, axes)
        if not inner:
            raise Decline("an axis of one element")
        return view.over(call.builder.add(kind, view.node, axes=inner))

    return rule


def _normalised(call: Call, view: View, axes: Sequence[int], epsilon: float) -> View:
    """`(x - mean) / sqrt(variance + epsilon)` over some axes."""
    centred = call.add("subtract", view, reduced(call, "reduce_mean", view, axes, keep=True))
    return call.add("multiply", centred, _scale(call, centred, axes, epsilon))


def _scale(call: Call, view: View, axes: Sequence[int], epsilon: float) -> View:
    """`1 / sqrt(mean(x ** 2) + epsilon)`."""
    power = reduced(call, "reduce_mean", call.add("square", view), axes, keep=True)
    return call.add("rsqrt", call.add("add", power, np.float32(epsilon)))


def _affine(call: Call, x: View, scale: Any, offset: Any) -> View:
    x = call.add("multiply", x, scale)
    return x if offset is None else call.add("add", x, offset)


def _layer_norm(call: Call) -> View:
    view = call.view(0)
    axes = _axes(call, view, range(call.axis(call.get("axis", -1), view), view.rank))
    made = _normalised(call, view, axes, call.get("epsilon", 1e-5))
    return _affine(call, made, call.operands[1], call.operands[2] if call.given(2) else None)


def _rms_norm(call: Call) -> View:
    view = call.view(0)
    axes = _axes(call, view, range(call.axis(call.get("axis", -1), view), view.rank))
    made = call.add("multiply", view, _scale(call, view, axes, call.get("epsilon", 1e-5)))
    return call.add("multiply", made, call.operands[1])


def _per_channel(values: Any, rank: int) -> Any:
    """Numbers for each channel of `[B, C, ...]`."""
    return values.reshape(-1, *[1] * (rank - 2))


def _instance_norm(call: Call) -> View:
    view = call.view(0)
    made = _normalised(call, view, _axes(call, view, range(2, view.rank)), call.get("epsilon", 1e-5))
    return _affine(call, made, *(_per_channel(call.constant(i), view.rank) for i in (1, 2)))


def _group_norm(call: Call) -> View:
    node, view, groups = call.plain(), call.view(0), call.get("num_groups")
    channels = view.extent(1)
    inner = [view.extent(i) for i in range(2, view.rank)]
    split = View.of(call.builder.add("reshape", node, shape=(groups, channels // groups, *inner)))
    made = _normalised(call, split, range(2, split.rank), call.get("epsilon", 1e-5))
    whole = View.of(call.builder.add("reshape", plain(call.builder, made), shape=(channels, *inner)))
    # one number for each group in opset 18, for each channel since 21
    values = [np.repeat(call.constant(i), channels // len(call.constant(i))) for i in (1, 2)]
    return _affine(call, whole, *(_per_channel(x, view.rank) for x in values))


def _batch_norm(call: Call) -> list[Any]:
    """In inference: `x * a + b` for each channel."""
    if call.get("training_mode", 0) or not call.get("spatial", 1):
        raise refuse_batch(call.builder, "batch normalisation in training")
    view = call.view(0)
    scale, offset, mean, variance = (call.constant(i).astype(np.float64) for i in range(1, 5))
    a = scale / np.sqrt(variance + call.get("epsilon", 1e-5))
    numbers = [_per_channel(x, view.rank).astype(view.node.type.dtype) for x in (a, offset - mean * a)]
    return [_affine(call, view, *numbers), *[None] * (call.results - 1)]


def _lp_norm(call: Call) -> View:
    view, p = call.view(0), call.get("p", 2)
    axes = _axes(call, view, [call.get("axis", -1)])
    power = reduced(call, "reduce_sum", call.add("square" if p == 2 else "abs", view), axes, keep=True)
    return call.add("divide", view, call.add("sqrt", power) if p == 2 else power)


def _extreme_place(function: Callable[..., Any]) -> Rule:
    """ArgMax and ArgMin."""

    def rule(call: Call) -> View:
        if call.get("select_last_index", 0):
            raise Decline("the attribute select_last_index")
        view, axis, inner = call.along(call.get("axis", 0))
        node = view.node
        if node.type.dtype in FLOATS:  # Keras takes -0 for less than 0
            node = call.follow(lambda t: ops.where(ops.equal(t, 0.0), 0.0, t), node)
        node = call.follow(lambda t: ops.cast(function(t, axis=inner), "int64"), node)
        return view.without([axis], bool(call.get("keepdims", 1)), node)

    return rule


def _top_k(call: Call) -> list[View]:
    view, _, inner = call.along(call.get("axis", -1))
    k = int(np.asarray(call.option("k", 1)).item())
    rank = view.node.type.rank
    order = [*(a for a in range(rank) if a != inner), inner]
    moved = permuted_node(call.builder, view.node, order)
    sign = 1 if call.get("largest", 1) else -1
    values, places = call.follow(lambda t: ops.top_k(t if sign > 0 else -t, k), moved)
    values = values if sign > 0 else call.builder.add("negative", values)
    axes = tuple(tuple(order.index(a) for a in g) for g in view.axes)
    return [View(values, axes), View(call.builder.add("cast", places, dtype="int64"), axes)]


def _cumulated(call: Call) -> View:
    view, _, inner = call.along(int(np.asarray(call.constant(1)).item()))
    node, add = view.node, call.builder.add
    node = add("flip", node, axis=inner) if call.get("reverse", 0) else node
    if call.get("exclusive", 0):
        length = node.type.extent(inner)
        shifted: Node = add("pad", node, axis=inner, left=1, right=0)
        node = add("slice", shifted, axis=inner, begin=0, end=length)
    node = call.follow(lambda t: ops.cumsum(t, axis=inner), node)
    return view.over(add("flip", node, axis=inner) if call.get("reverse", 0) else node)


OPERATORS: dict[str, Rule] = {
    "ArgMax": _extreme_place(ops.argmax),
    "ArgMin": _extreme_place(ops.argmin),
    "BatchNormalization": _batch_norm,
    "CumSum": _cumulated,
    "GlobalAveragePool": _global("reduce_mean"),
    "GlobalMaxPool": _global("reduce_max"),
    "GroupNormalization": _group_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LogSoftmax": _softmax("log_softmax"),
    "LpNormalization": _lp_norm,
    "RMSNormalization": _rms_norm,
    "ReduceL1": _reduction("reduce_sum", before="abs"),
    "ReduceL2": _reduction("reduce_sum", before="square", after="sqrt"),
    "ReduceLogSum": _reduction("reduce_sum", after="log"),
    "ReduceLogSumExp": _reduction("reduce_logsumexp"),
    "ReduceMax": _reduction("reduce_max"),
    "ReduceMean": _reduction("reduce_mean"),
    "ReduceMin": _reduction("reduce_min"),
    "ReduceProd": _product,
    "ReduceSum": _reduction("reduce_sum"),
    "ReduceSumSquare": _reduction("reduce_sum", before="square"),
    "Softmax": _softmax("softmax"),
    "TopK": _top_k,
}
"""ONNX operator -> lowering rule."""
