"""Framework functions that the frontend binds and whose receptive field is known, so that they run on windows.

All have the attributes `call` and `what` (as keras_call), `shape` and `dtype`.

elementwise_call: each element by itself, operands broadcast; attr output.
axis_call: one operand; works along the axes `over`, independently on all others (a sort or a cumulative sum of
channels); attrs output, over, reduces: whether the result lacks these axes.
custom_local: a registered layer that reads a declared neighbourhood of each position; attrs `taps`, `stride`,
`dilation`, `pad = (left, right)`: zeros that the layer itself pads with, `linear`: f(a + b) = f(a) + f(b), so that
it runs on deltas. A see-through layer is one with a single tap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.ops.elementwise import track_broadcast
from fastism_compiler.ir.ops.rule import Attrs, Call, Effect, Linear, Moves, OpRule, Stops, Track, never
from fastism_compiler.ir.position_map import PositionMap, identity
from fastism_compiler.ir.types import BATCH, TensorType


def _infer(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((BATCH, *attrs["shape"]), attrs["dtype"])


def _track(call: Call, operand: int, axis: int) -> Effect:
    if axis != 1:
        return Stops("a registered layer follows positions on axis 1 only")
    attrs = call.attrs
    lengths = call.operands[0].extent(1), call.result.extent(1)
    geometry = {"stride": attrs["stride"], "dilation": attrs["dilation"], "taps": attrs["taps"]}
    return Moves(1, PositionMap(*lengths, pad=attrs["pad"][0], **geometry))


def _linear(call: Call, changed: Sequence[bool]) -> bool:
    return bool(call.attrs["linear"])


def _beside_axes(call: Call, operand: int, axis: int) -> Effect:
    over = call.attrs["over"]
    if axis in over:
        return Stops(f"{call.attrs['what']} reads every position")
    gone = sum(a < axis for a in over) if call.attrs["reduces"] else 0
    return Moves(axis - gone, identity(call.operands[0].extent(axis)))


def _bound(kind: str, layer_class: LayerClass, track: Track, linear: Linear = never, **options: Any) -> OpRule:
    return OpRule(kind, layer_class, _infer, track, linear, opaque=True, makes_non_finite=True, **options)


RULES = (
    _bound("custom_local", LayerClass.LOCAL, _track, _linear),
    _bound("elementwise_call", LayerClass.SEE_THROUGH, track_broadcast, elementwise=True),
    # which of them drop NaN (a sort, a maximum) depends on the version of XLA: assume that all do
    _bound("axis_call", LayerClass.SEE_THROUGH, _beside_axes, drops_nan=True),
)
