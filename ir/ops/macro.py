"""Layers written as one op by the frontend and expanded by `canonicalize`.

batch_norm(x, mean, variance, gamma?, beta?) attrs axis, epsilon, scale, center
separable_conv(x, depthwise, pointwise)      attrs as depthwise_conv
"""

from __future__ import annotations

from collections.abc import Sequence

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.ops.convolution import depthwise_type
from fastism_compiler.ir.ops.rule import Attrs, Call, Effect, OpRule, Stops
from fastism_compiler.ir.types import TensorType, promote


def _first(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return operands[0]


def _separable(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    value, depthwise, pointwise = operands
    middle = depthwise_type((value, depthwise), attrs)
    return TensorType((*middle.shape[:2], pointwise.extent(2)), promote(operands))


def _unexpanded(call: Call, operand: int, axis: int) -> Effect:
    return Stops("canonicalize has not run")


RULES = (
    OpRule("batch_norm", LayerClass.SEE_THROUGH, _first, _unexpanded, macro=True),
    OpRule("separable_conv", LayerClass.LOCAL, _separable, _unexpanded, macro=True),
)
