"""custom_local: a registered layer that reads a declared neighbourhood of each position.

attrs: `call` and `what` as for keras_call; `taps`, `stride`, `dilation`,
`pad = (left, right)` zeros the layer itself puts beside its input; `linear`:
f(a + b) = f(a) + f(b), so that it runs on deltas; `shape`, `dtype`.
A see-through layer is one with a single tap.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.ops.rule import Attrs, Call, Effect, Moves, OpRule, Stops
from fastism_compiler.ir.position_map import PositionMap
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


RULES = (OpRule("custom_local", LayerClass.LOCAL, _infer, _track, _linear, opaque=True, makes_non_finite=True),)
