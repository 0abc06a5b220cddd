"""Values that no op computes: model inputs, parameters, literals."""

from __future__ import annotations

from collections.abc import Sequence

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.ops.rule import Attrs, Call, Effect, OpRule, Stops
from fastism_compiler.ir.types import TensorType


def _declared(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    raise ValueError("the type of a leaf is declared, not inferred")


def _literal(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((), attrs["dtype"])


def _none(call: Call, operand: int, axis: int) -> Effect:
    return Stops("a leaf has no operands")


RULES = (
    OpRule("input", LayerClass.INPUT, _declared, _none, declared=True, leaf=True),
    OpRule("parameter", LayerClass.CONSTANT, _declared, _none, declared=True, leaf=True),
    OpRule("literal", LayerClass.CONSTANT, _literal, _none, leaf=True),
)
