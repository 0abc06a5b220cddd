"""Ops that move, drop or copy positions without arithmetic. All are linear.

slice:     attrs axis, begin, end          pad:      attrs axis, left, right (zeros)
flip:      attrs axis                      upsample: attrs axis, size
subsample: attrs axis, step (every step-th position, from the first on)
concat:    attrs axis                      transpose: attrs perm
reshape:   attrs shape (batch axis left out)
broadcast: attrs shape (batch axis left out)
identity:  inference no-ops such as Dropout; `canonicalize` drops it
around:    attrs axis, reach, stride, offset: all positions, of which only those near a change are wanted
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.ops.elementwise import track_broadcast
from fastism_compiler.ir.ops.rule import (
    Attrs,
    Call,
    Cut,
    DeltaLowering,
    Effect,
    Infer,
    Moves,
    OpRule,
    Stops,
    Track,
    always,
    same_attrs,
)
from fastism_compiler.ir.position_map import PositionMap, ceil_div, identity
from fastism_compiler.ir.types import TensorType, promote


def _slice(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (value,) = operands
    if not 0 <= attrs["begin"] < attrs["end"] <= value.extent(attrs["axis"]):
        raise ValueError(f"slice [{attrs['begin']}, {attrs['end']}) of {value} on axis {attrs['axis']}")
    return value.with_extent(attrs["axis"], attrs["end"] - attrs["begin"])


def _pad(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (value,) = operands
    axis = attrs["axis"]
    return value.with_extent(axis, value.extent(axis) + attrs["left"] + attrs["right"])


def _same(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return operands[0]


def _upsample(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (value,) = operands
    return value.with_extent(attrs["axis"], value.extent(attrs["axis"]) * attrs["size"])


def _subsample(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (value,) = operands
    return value.with_extent(attrs["axis"], ceil_div(value.extent(attrs["axis"]), attrs["step"]))


def _concat(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    axis = attrs["axis"]
    first = operands[0]
    if any(o.with_extent(axis, 1).shape != first.with_extent(axis, 1).shape for o in operands):
        raise ValueError(f"concat of {', '.join(map(str, operands))} on axis {axis}")
    return TensorType(first.with_extent(axis, sum(o.extent(axis) for o in operands)).shape, promote(operands))


def _transpose(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (value,) = operands
    if value.batched and attrs["perm"][0] != 0:
        raise ValueError("a transpose must leave the batch axis in front")
    return TensorType(tuple(value.shape[i] for i in attrs["perm"]), value.dtype)


def _reshape(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (value,) = operands
    batch = value.shape[:1] if value.batched else ()
    if math.prod(attrs["shape"]) != value.row_size:
        raise ValueError(f"reshape of {value} to {attrs['shape']}")
    return TensorType((*batch, *attrs["shape"]), value.dtype)


def _broadcast(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (value,) = operands
    batch = value.shape[:1] if value.batched else ()
    return TensorType((*batch, *attrs["shape"]), value.dtype)


def _track_cut(call: Call, operand: int, axis: int) -> Effect:
    """slice and pad: a shift on their own axis, nothing on the others."""
    lengths = call.operands[0].extent(axis), call.result.extent(axis)
    if axis != call.attrs["axis"]:
        return Moves(axis, identity(lengths[0]))
    return Moves(axis, PositionMap(*lengths, pad=call.attrs.get("left", 0) - call.attrs.get("begin", 0)))


def _track_same(call: Call, operand: int, axis: int) -> Effect:
    return Moves(axis, identity(call.operands[0].extent(axis)))


def _track_flip(call: Call, operand: int, axis: int) -> Effect:
    length = call.operands[0].extent(axis)
    return Moves(axis, PositionMap(length, length, reverse=axis == call.attrs["axis"]))


def _track_upsample(call: Call, operand: int, axis: int) -> Effect:
    length, size = call.operands[0].extent(axis), call.attrs["size"]
    if axis != call.attrs["axis"]:
        return Moves(axis, identity(length))
    return Moves(axis, PositionMap(length, length * size, stride=size, taps=size, scatter=True))


def _track_subsample(call: Call, operand: int, axis: int) -> Effect:
    length, step = call.operands[0].extent(axis), call.attrs["step"]
    if axis != call.attrs["axis"]:
        return Moves(axis, identity(length))
    return Moves(axis, PositionMap(length, call.result.extent(axis), stride=step))


def _track_concat(call: Call, operand: int, axis: int) -> Effect:
    length = call.operands[operand].extent(axis)
    if axis != call.attrs["axis"]:
        return Moves(axis, identity(length))
    before = sum(o.extent(axis) for o in call.operands[:operand])
    return Moves(axis, PositionMap(length, call.result.extent(axis), pad=-before, scatter=True))


def _track_transpose(call: Call, operand: int, axis: int) -> Effect:
    return Moves(call.attrs["perm"].index(axis), identity(call.operands[0].extent(axis)))


def _track_reshape(call: Call, operand: int, axis: int) -> Effect:
    """Follow positions by the number of elements in front of their axis, which a reshape keeps."""
    source, result = call.operands[0], call.result
    length = source.extent(axis)
    before = math.prod(source.extent(i) for i in range(1, axis))
    for target in range(1, result.rank):
        if math.prod(result.extent(i) for i in range(1, target)) != before:
            continue
        extent = result.extent(target)
        if extent == length:
            return Moves(target, identity(length))
        if extent > length and extent % length == 0:
            times = extent // length
            return Moves(target, PositionMap(length, extent, stride=times, taps=times, scatter=True))
        if 1 < extent < length and length % extent == 0:
            times = length // extent
            return Moves(target, PositionMap(length, extent, stride=times, taps=times))
    return Stops("the reshape mixes positions with other axes")


def _cut_pad(call: Call, axis: int, begin: int, end: int) -> Attrs:
    """What is left of the padding, on its own axis."""
    effect = _track_cut(call, 0, axis)
    if axis != call.attrs["axis"] or not isinstance(effect, Moves):
        return call.attrs
    left, right = effect.map.overhang(begin, end)
    return {**call.attrs, "left": left, "right": right}


def _cut_shape(call: Call, axis: int, begin: int, end: int) -> Attrs:
    """Another extent; attributes leave the batch axis out."""
    place = axis - int(call.result.batched)
    shape = call.attrs["shape"]
    return {**call.attrs, "shape": (*shape[:place], end - begin, *shape[place + 1 :])}


def _rule(kind: str, infer: Infer, track: Track, cut: Cut | None = same_attrs, **options: Any) -> OpRule:
    return OpRule(kind, LayerClass.SEE_THROUGH, infer, track, always, cut=cut, **options)


RULES = (
    _rule("identity", _same, _track_same),
    _rule("around", _same, _track_same, cut=None, framed=True),
    _rule("slice", _slice, _track_cut, keeps_tokens=True, crops=True),
    _rule("pad", _pad, _track_cut, _cut_pad, delta_only=True),
    _rule("flip", _same, _track_flip, keeps_tokens=True),
    _rule("upsample", _upsample, _track_upsample, delta_only=True),
    _rule("subsample", _subsample, _track_subsample, delta_only=True, keeps_tokens=True),
    _rule("concat", _concat, _track_concat, delta_only=True, delta_lowering=DeltaLowering.CONCAT),
    _rule("transpose", _transpose, _track_transpose, keeps_tokens=True),
    _rule("reshape", _reshape, _track_reshape, _cut_shape, delta_only=True, keeps_tokens=True, regroups=True),
    _rule("broadcast", _broadcast, track_broadcast, cut=None),
)
