"""Element-wise ops: windows pass unchanged, operands broadcast.

Linear are `add`, `subtract` and `negative`, `multiply` in one changed operand,
`divide` in the numerator, and `cast` between floats; the others are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.ops.rule import (
    Attrs,
    Call,
    DeltaLowering,
    Effect,
    Infer,
    Linear,
    Moves,
    OpRule,
    Stops,
    always,
    never,
    same_attrs,
)
from fastism_compiler.ir.position_map import identity
from fastism_compiler.ir.types import FLOATS, TensorType, broadcast, promote

UNARY = (
    "relu", "leaky_relu", "elu", "celu", "selu", "sigmoid", "hard_sigmoid", "hard_tanh", "tanh", "tanh_shrink",
    "softplus", "softsign", "silu", "hard_silu", "gelu", "exp", "expm1", "exponential", "log", "log1p", "log_sigmoid",
    "sqrt", "rsqrt", "square", "reciprocal", "abs", "sin", "cos", "erf", "mish", "relu6", "threshold",
    "soft_shrink", "hard_shrink", "squareplus", "sparse_plus", "clip", "sign", "floor", "ceil", "round", "logical_not",
)  # fmt: skip
"""Nonlinear functions of one operand; parameters such as `negative_slope` are attributes."""

REMATERIALIZED = (
    "relu", "leaky_relu", "relu6", "abs", "square", "clip", "hard_sigmoid", "hard_tanh", "threshold", "hard_shrink",
    "soft_shrink", "sign", "add", "subtract", "multiply", "maximum", "minimum", "prelu",
)  # fmt: skip
"""Functions of a few instructions: recomputing one on a reference window costs less than reading its result."""

ILL_CONDITIONED = ("exp", "expm1", "exponential", "power", "reciprocal", "divide")
"""Functions after which a mutant may be so much smaller than the reference that their difference
says nothing about it: rows where that happens are scored by the model itself."""

HOMOGENEOUS = ("relu", "leaky_relu", "prelu", "abs")
"""Functions whose result scales with their operand: f(2x) = 2 f(x)."""

MAGNIFIES = {
    "log": {0: 8}, "sqrt": {0: 8}, "rsqrt": {0: 8}, "reciprocal": {0: 8}, "sign": {0: 16}, "power": {0: 8},
    "divide": {1: 8},
}  # fmt: skip
"""Functions whose result changes the more, the closer an operand is to 0: these operands, and the bits that each may
lose. A mutant's value that is what is left of a much larger reference has fewer, and the model itself scores it."""

PIECEWISE_LINEAR = (
    "relu", "leaky_relu", "relu6", "abs", "clip", "hard_sigmoid", "hard_tanh", "soft_shrink", "maximum", "minimum",
    "prelu",
)  # fmt: skip
"""Functions made of pieces of straight lines that meet."""

NON_FINITE = ("exp", "expm1", "exponential", "log", "log1p", "sqrt", "rsqrt", "reciprocal", "divide", "power")
"""Functions that may turn finite numbers into NaN or infinity."""

COMPARISONS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "logical_and", "logical_or")


def _broadcast(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(broadcast(operands), promote(operands))


def _compare(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(broadcast(operands), "bool")


def _select(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(broadcast(operands), promote(operands[1:]))


def _cast(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType(operands[0].shape, attrs["dtype"])


def track_broadcast(call: Call, operand: int, axis: int) -> Effect:
    """Positions stay in place, axes aligned from the last; a single position broadcast over many stops."""
    source = call.operands[operand]
    target = axis + call.result.rank - source.rank
    length = source.extent(axis)
    if length != call.result.extent(target):
        return Stops("a single changed position is broadcast over all positions")
    return Moves(target, identity(length))


def _one_changes(call: Call, changed: Sequence[bool]) -> bool:
    return sum(changed) == 1


def _numerator_changes(call: Call, changed: Sequence[bool]) -> bool:
    return not changed[1]


def _float_to_float(call: Call, changed: Sequence[bool]) -> bool:
    return call.operands[0].dtype in FLOATS and call.result.dtype in FLOATS


def _flags(kind: str) -> dict[str, Any]:
    return {
        "rematerialize": kind in REMATERIALIZED,
        "ill_conditioned": kind in ILL_CONDITIONED,
        "magnifies": MAGNIFIES.get(kind, {}),
        "homogeneous": kind in HOMOGENEOUS,
        "piecewise_linear": kind in PIECEWISE_LINEAR,
        "makes_non_finite": kind in NON_FINITE,
    }


_SUMS: dict[str, tuple[int, ...]] = {"add": (), "subtract": (1,)}
"""Sums of operands -> operands that are subtracted."""

_LINEARITY: dict[str, Linear] = {
    "add": always,
    "subtract": always,
    "multiply": _one_changes,
    "divide": _numerator_changes,
    "maximum": never,
    "minimum": never,
    "power": never,
    "prelu": never,
}


def _rule(kind: str, infer: Infer = _broadcast, linear: Linear = never, **options: Any) -> OpRule:
    see_through = LayerClass.SEE_THROUGH
    return OpRule(kind, see_through, infer, track_broadcast, linear, elementwise=True, cut=same_attrs, **options)


RULES = (
    *(
        _rule(
            kind,
            linear=linear,
            delta_lowering=DeltaLowering.SUM if kind in _SUMS else DeltaLowering.SAME,
            negated=_SUMS.get(kind, ()),
            **_flags(kind),
        )
        for kind, linear in _LINEARITY.items()
    ),
    *(_rule(kind, **_flags(kind)) for kind in UNARY),
    _rule("negative", linear=always, rematerialize=True),
    *(_rule(kind, _compare) for kind in COMPARISONS),
    _rule("select", _select),
    _rule(
        "cast",
        _cast,
        _float_to_float,
        drops_nan=True,  # to integers: TensorFlow makes the lowest integer of NaN, XLA makes 0
        whole_range=True,
        keeps_tokens=True,
    ),
)
