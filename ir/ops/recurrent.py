"""Recurrences along positions: LSTM, GRU and simple cells, their input projections already done.

operands: projections p `[B, L, gates * u]` (kernel and bias applied by a
per-position Dense), the recurrent kernel `[u, gates * u]` and, for a GRU that
resets after the product, the recurrent bias `[gates * u]`.
attrs: cell (a key of `GATES`), activation, recurrent_activation (names of
functions), reverse (runs from the last position), reset_after, carry (the result holds every state vector, not only
the hidden state).

recurrence(p, k[, b])           every position's hidden state, `[B, L, u]` in the order of positions
recurrent_states(p, k[, b])     the whole state *before* each position, `[B, L + 1, states * u]`
resume(rows, p, s, k[, b])      tile: the hidden states of mutants, from the first changed position on
"""

from __future__ import annotations

from collections.abc import Sequence

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.ops.rule import Attrs, Call, Effect, OpRule, Resumes, Stops
from fastism_compiler.ir.types import TensorType

GATES = {"lstm": 4, "gru": 3, "simple": 1}
"""Kind of cell -> number of its gates."""
STATES = {"lstm": 2, "gru": 1, "simple": 1}
"""Kind of cell -> number of its state vectors; the first is the hidden state."""


def _units(value: TensorType, kernel: TensorType, attrs: Attrs) -> int:
    units = kernel.extent(0)
    gates = GATES[attrs["cell"]] * units
    if value.rank != 3 or value.extent(2) != gates or kernel.shape != (units, gates):
        raise ValueError(f"{attrs['cell']} over {value} with the kernel {kernel}")
    return units


def _hidden(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    value, kernel = operands[:2]
    kept = STATES[attrs["cell"]] if attrs.get("carry") else 1
    return value.with_extent(2, kept * _units(value, kernel, attrs))


def _states(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    value, kernel = operands[:2]
    size = STATES[attrs["cell"]] * _units(value, kernel, attrs)
    return value.with_extent(1, value.extent(1) + 1).with_extent(2, size)


def _resumed(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    return _hidden([operands[1], operands[3]], attrs)


def _track(call: Call, operand: int, axis: int) -> Effect:
    if operand != 0 or axis != 1:
        return Stops("a recurrence over another axis than the positions")
    return Resumes(call.operands[0].extent(1), call.attrs["reverse"])


def _work(call: Call, axis: int) -> int:
    return call.operands[1].row_size


RULES = (
    OpRule("recurrence", LayerClass.RECURRENT, _hidden, _track, work=_work, contraction=True),
    OpRule("recurrent_states", LayerClass.RECURRENT, _states, _track),
)
TILE_RULES = (OpRule("resume", LayerClass.RECURRENT, _resumed, _track, tile=True),)
