"""Ops of the tile section: where rows of windows meet the reference.

Each keeps the type and positions of its first operand, except aggregates,
`resume`, and `reference_window` of a parameter.

input_delta(x)                    replacement minus sequence, on the replaced positions
zero_delta(c, like)               rows of zeros in the place of an unchanged operand
reference_window(v, like)         the reference's v, on the positions of the tile value `like`
slice_assign(delta, reference)    the mutant's values: reference window plus delta
difference(value, reference)      back to a delta; 0 outside the sequence
materialise(rows[, v])            the whole value: the window over zeros, or over v's reference
realign(rows)                     the same rows on another carrier
window_max, window_min, window_logsumexp, window_softmax_pool(rows, v)
                                  aggregates of the reference's prefix, the window and its suffix
resume(rows, v, states, ...)      a recurrence from the first changed position on (see `recurrent`)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastism_compiler.ir.facts import Form, LayerClass
from fastism_compiler.ir.ops import recurrent
from fastism_compiler.ir.ops.reduction import pooled_type, reduced_type
from fastism_compiler.ir.ops.rule import Attrs, Call, Effect, Moves, OpRule, Stops, always, never
from fastism_compiler.ir.position_map import identity
from fastism_compiler.ir.types import BATCH, TensorType


def _first(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return operands[0]


def _window_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    """Rows of the source: a parameter's axes meet those of `like` from the right."""
    source, like = operands
    if source.batched:
        return source
    shape = (*[1] * (like.rank - source.rank), *source.shape)
    return TensorType((BATCH, *shape[1:]), source.dtype)


def _stay(call: Call, operand: int, axis: int) -> Effect:
    return Moves(axis, identity(call.operands[0].extent(axis)))


def _reduce(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return reduced_type(operands[0], attrs)


def _pool(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return pooled_type(operands[0], attrs)


def _gone(call: Call, operand: int, axis: int) -> Effect:
    return Stops("an aggregate over positions has no positions")


def _rule(kind: str, **options: Any) -> OpRule:
    return OpRule(kind, LayerClass.SEE_THROUGH, _first, _stay, always, tile=True, **options)


def _aggregate(kind: str, **options: Any) -> OpRule:
    return OpRule(kind, LayerClass.AGGREGATION, _reduce, _gone, never, tile=True, runs_on=True, **options)


RULES = (
    _rule("input_delta", plumbing=True, enters=True, in_place=(0,)),
    _rule("zero_delta", shape_only=(1,)),
    _rule("slice_assign", converts=(Form.DELTA, Form.VALUE), plumbing=True),
    _rule("difference", converts=(Form.VALUE, Form.DELTA), plumbing=True),
    _rule("materialise", any_carrier=True, plumbing=True),
    _rule("realign", any_carrier=True, plumbing=True),
    OpRule(
        "reference_window", LayerClass.SEE_THROUGH, _window_type, _stay, always,
        tile=True, shape_only=(1,), any_carrier=True, in_place=(0,), plumbing=True,
    ),
    _aggregate("window_max", drops_nan=True, homogeneous=True),
    _aggregate("window_min", drops_nan=True, homogeneous=True),
    _aggregate("window_logsumexp"),
    OpRule("window_softmax_pool", LayerClass.AGGREGATION, _pool, _gone, tile=True, runs_on=True),
    *recurrent.TILE_RULES,
)  # fmt: skip
