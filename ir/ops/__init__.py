"""The op rules, one frozen rule per op kind: `RULES[kind]`.

Adding an op means adding its rule here and its entry in the emitter's
table (`fastism_compiler.emit.OPS`); a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.ops import (
    attention,
    convolution,
    custom,
    dense,
    elementwise,
    leaves,
    lookup,
    macro,
    opaque,
    pooling,
    recurrent,
    reduction,
    structural,
    tile,
)
from fastism_compiler.ir.ops.rule import Aggregates, Call, Effect, Moves, OpRule, Resumes, Stops
from fastism_compiler.ir.types import TensorType

_MODULES = (
    leaves, elementwise, lookup, custom, convolution, dense, pooling, recurrent, attention, reduction, structural,
    opaque, macro, tile,
)  # fmt: skip

RULES: dict[str, OpRule] = {rule.kind: rule for module in _MODULES for rule in module.RULES}
MACRO_OPS = frozenset(kind for kind, rule in RULES.items() if rule.macro)
COMPOSER_OPS = frozenset(rule.composes for rule in RULES.values() if rule.composes is not None)
TILE_OPS = frozenset(kind for kind, rule in RULES.items() if rule.tile)


def infer_type(op: str, operands: Sequence[TensorType], attrs: Mapping[str, Any]) -> TensorType:
    """The result type of an op.

    Raises:
        IRError: unknown op, or operands its rule refuses.
    """
    if op not in RULES:
        raise IRError("every node needs an op with a rule", expected="a key of ir.ops.RULES", got=op)
    try:
        return RULES[op].infer(operands, attrs)
    except (ValueError, IndexError) as error:
        got = ", ".join(map(str, operands))
        raise IRError(f"{op} does not take these operands: {error}", got=got or "no operands") from error


__all__ = [
    "COMPOSER_OPS",
    "MACRO_OPS",
    "RULES",
    "TILE_OPS",
    "Aggregates",
    "Call",
    "Effect",
    "Moves",
    "OpRule",
    "Resumes",
    "Stops",
    "infer_type",
]
