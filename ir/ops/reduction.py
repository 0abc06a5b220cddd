"""Reductions over axes, and softmax: attrs axes (sorted, positive), keepdims.

softmax_pool(z): the sum over `axis` of values weighted by the softmax of their scores; z holds both, as channels
(attention pooling, Ilse et al. 2018, equation 7); attrs axis, split, keepdims.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.ops.rule import (
    Aggregates,
    Attrs,
    Call,
    Effect,
    Linear,
    Moves,
    OpRule,
    Stops,
    always,
    never,
    same_attrs,
)
from fastism_compiler.ir.position_map import PositionMap, identity
from fastism_compiler.ir.types import TensorType


def reduced_type(value: TensorType, attrs: Attrs) -> TensorType:
    """The type left after reducing `attrs["axes"]`; ValueError where these include the batch axis."""
    axes, keepdims = attrs["axes"], attrs["keepdims"]
    if 0 in axes and value.batched:
        raise ValueError("a reduction over the batch axis mixes sequences")
    if keepdims:
        shape = tuple(1 if i in axes else n for i, n in enumerate(value.shape))
    else:
        shape = tuple(n for i, n in enumerate(value.shape) if i not in axes)
    return TensorType(shape, value.dtype)


def _infer(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return reduced_type(operands[0], attrs)


def _track(call: Call, operand: int, axis: int) -> Effect:
    axes = call.attrs["axes"]
    length = call.operands[0].extent(axis)
    if axis in axes:
        return Aggregates(PositionMap(length, 1, taps=length))
    dropped = 0 if call.attrs["keepdims"] else sum(a < axis for a in axes)
    return Moves(axis - dropped, identity(length))


def _same(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return operands[0]


def _track_softmax(call: Call, operand: int, axis: int) -> Effect:
    if axis in call.attrs["axes"]:
        return Stops("softmax over positions depends on all of them")
    return Moves(axis, identity(call.operands[0].extent(axis)))


_LINEARITY: dict[str, Linear] = {
    "reduce_mean": always,
    "reduce_sum": always,
    "reduce_max": never,
    "reduce_min": never,
    "reduce_logsumexp": never,
}

_OVER_WINDOWS = {
    "reduce_max": "window_max",
    "reduce_min": "window_min",
    "reduce_logsumexp": "window_logsumexp",
}
"""Nonlinear reduction -> the tile op that aggregates a window of it."""

_EXTREMES = ("reduce_max", "reduce_min")


def pooled_type(value: TensorType, attrs: Attrs) -> TensorType:
    """The type of `softmax_pool(value)`; ValueError where axis or split do not fit.

    The channels in front of `split` are values, the others are scores: one, or one per value.
    """
    axis, split, last = attrs["axis"], attrs["split"], value.rank - 1
    if not 0 < axis < last or value.extent(last) - split not in (1, split):
        raise ValueError(f"softmax_pool of {value} on axis {axis}, {split} values")
    kept = tuple(
        (1 if i == axis else split if i == last else n)
        for i, n in enumerate(value.shape)
        if i != axis or attrs["keepdims"]
    )
    return TensorType(kept, value.dtype)


def _pooled(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return pooled_type(operands[0], attrs)


def _track_pooled(call: Call, operand: int, axis: int) -> Effect:
    value, pooled = call.operands[0], call.attrs["axis"]
    if axis == value.rank - 1:
        return Stops("a softmax-weighted sum of positions that lie on its channel axis")
    length = value.extent(axis)
    if axis == pooled:
        return Aggregates(PositionMap(length, 1, taps=length))
    return Moves(axis - (0 if call.attrs["keepdims"] else int(pooled < axis)), identity(length))


RULES = (
    *(
        OpRule(
            kind,
            LayerClass.AGGREGATION,
            _infer,
            _track,
            linear,
            over_windows=_OVER_WINDOWS.get(kind),
            drops_nan=kind in _EXTREMES,
            homogeneous=kind in _EXTREMES,
            cut=same_attrs,
        )
        for kind, linear in _LINEARITY.items()
    ),
    OpRule(
        "softmax_pool",
        LayerClass.AGGREGATION,
        _pooled,
        _track_pooled,
        over_windows="window_softmax_pool",
        cut=same_attrs,
    ),
    OpRule("softmax", LayerClass.SEE_THROUGH, _same, _track_softmax, cut=same_attrs),
    OpRule("log_softmax", LayerClass.SEE_THROUGH, _same, _track_softmax, cut=same_attrs),
)
