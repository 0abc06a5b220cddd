"""keras_call: one output of an operation the compiler has no rule for.

attrs: `call` names the operation in the program's bindings (several nodes
with one name share one call), `output` picks from its flat results; `what`
names its class, `why` says why there is no rule.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.ops.rule import Attrs, Call, Effect, OpRule, Stops
from fastism_compiler.ir.types import TensorType


def _infer(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(tuple(attrs["shape"]), attrs["dtype"])


def _track(call: Call, operand: int, axis: int) -> Effect:
    why = call.attrs.get("why")
    return Stops(f"no window rule for {call.attrs['what']}" + (f": {why}" if why else ""))


RULES = (OpRule("keras_call", LayerClass.STOP, _infer, _track, declared=True, opaque=True, makes_non_finite=True),)
