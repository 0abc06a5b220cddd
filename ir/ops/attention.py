"""attention: scaled dot-product attention of heads; attrs scale.

operands: queries `[B, T, heads, h]`, keys `[B, S, heads, h]`, values
`[B, S, heads, v]`, all projected already: the projections are per-position
and run on windows, the attention itself mixes all positions.
"""

from __future__ import annotations

from collections.abc import Sequence

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.ops.rule import Attrs, Call, Effect, OpRule, Stops, same_attrs
from fastism_compiler.ir.types import TensorType


def _infer(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    query, key, value = operands
    same_heads = len({(o.rank, o.extent(2)) for o in operands}) == 1 and query.rank == 4
    if not same_heads or query.extent(3) != key.extent(3) or key.extent(1) != value.extent(1):
        raise ValueError(f"attention of {query} to {key} with values {value}")
    return query.with_extent(3, value.extent(3))


def _track(call: Call, operand: int, axis: int) -> Effect:
    return Stops("every position attends to every other")


def _work(call: Call, axis: int) -> int:
    query, key, value = call.operands
    return query.row_size * key.extent(1) + value.row_size * query.extent(1)


RULES = (
    OpRule("attention", LayerClass.STOP, _infer, _track, work=_work, contraction=True, cut=same_attrs, aligned={0: 1}),
)
