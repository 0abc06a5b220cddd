"""Ops on integer tokens. Attributes of one_hot: depth, dtype.

embedding(tokens, table)   row `tokens[b, i]` of the table `[vocabulary, D]` at each position
one_hot(tokens)            1 in channel `tokens[b, i]`, 0 elsewhere
"""

from __future__ import annotations

from collections.abc import Sequence

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.ops.rule import Attrs, Call, Effect, Moves, OpRule, Stops
from fastism_compiler.ir.position_map import identity
from fastism_compiler.ir.types import TensorType


def _embedding(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    tokens, table = operands
    if table.rank != 2 or not tokens.dtype.startswith(("int", "uint")):
        raise ValueError(f"embedding of {tokens} in {table}")
    return TensorType((*tokens.shape, table.extent(1)), table.dtype)


def _one_hot(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return TensorType((*operands[0].shape, attrs["depth"]), attrs["dtype"])


def _track(call: Call, operand: int, axis: int) -> Effect:
    if operand != 0:
        return Stops("the embedding table itself changes")
    return Moves(axis, identity(call.operands[0].extent(axis)))


def _table_rows(call: Call) -> int:
    return call.operands[1].extent(0)


def _depth(call: Call) -> int:
    return int(call.attrs["depth"])


RULES = (
    OpRule("embedding", LayerClass.SEE_THROUGH, _embedding, _track, vocabulary=_table_rows, closed_vocabulary=True),
    OpRule("one_hot", LayerClass.SEE_THROUGH, _one_hot, _track, vocabulary=_depth),
)
