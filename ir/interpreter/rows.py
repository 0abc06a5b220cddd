"""The tile section: one mutant of each sequence, on whole values or on what its windows store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from fastism_compiler.ir.facts import Form, Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.interpreter.arrays import Array, dtype_of
from fastism_compiler.ir.interpreter.evaluate import Calls, evaluate, run
from fastism_compiler.ir.interpreter.recurrent import recurrence
from fastism_compiler.ir.interpreter.whole import WHOLE
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.position_map import Table


def evaluate_rows(
    graph: Graph,
    inputs: Sequence[Array],
    mutants: Array,
    parameters: Mapping[str, Array],
    calls: Calls | None = None,
    *,
    changes: Table | None = None,
) -> dict[Node, Array]:
    """Every value of the tile section of a lowered graph, for one mutant of each sequence.

    Every value is computed whole, `[B, ...]`, whether it is stored as a window
    or not. With `changes`, what a row does not store is lost, as it is in a
    program: a delta is 0 there, any other float is NaN. Outputs are then right
    only if every op finds what it reads.

    Args:
        graph: a lowered graph; with `changes`, one whose windows have carriers.
        inputs: one array for each of `graph.inputs`, `[B, ...]`.
        mutants: the mutated sequences, `[B, ...]`; sequence `i` makes row `i`.
        parameters: arrays by their name (attribute `binding`).
        calls: what opaque ops run; they may be left out where there are none.
        changes: the change range of each row, `[B]`. None: every row stores everything.

    Returns:
        Node of the tile section -> value.

    Raises:
        KeyError: a parameter or a call that is not given.
    """
    reference = evaluate(graph, inputs, parameters, calls)
    rows = Rows(len(mutants), mutants, changes)
    values, done = dict(reference), dict[str, list[Array]]()
    with np.errstate(all="ignore"):
        for node in graph.nodes(Section.TILE):
            operands = [values[o] for o in node.operands]
            special = TILE.get(node.op)
            value = special(rows, node, *operands) if special else run(node, operands, calls or {}, done)
            values[node] = rows.kept(node, value)
    return {node: value for node, value in values.items() if node.in_tile}


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a tile: how many, what they mutate to, and which change range each belongs to."""

    count: int
    mutants: Array
    changes: Table | None

    def stored(self, node: Node) -> Array | None:
        """Mask of the positions that each row of a window stores, broadcastable to its value; None: all."""
        if self.changes is None or not node.has_window:
            return None
        start, positions = node.carrier.start[self.changes][:, None], np.arange(node.window.length)
        inside = (start <= positions) & (positions < start + node.carrier.width)
        shape = [1] * node.type.rank
        shape[0], shape[node.window.axis] = inside.shape
        return inside.reshape(shape)

    def kept(self, node: Node, value: Array) -> Array:
        """A value as it is stored."""
        stored = self.stored(node)
        if stored is None:
            return value
        lost = np.nan if node.facts.form is not Form.DELTA and value.dtype.kind == "f" else 0
        return np.where(stored, value, np.asarray(lost, value.dtype))

    def over(self, node: Node, rows: Array, reference: Array) -> Array:
        """The rows of the first operand where they are stored, the reference elsewhere."""
        stored = self.stored(node.operands[0])
        return rows if stored is None else np.where(stored, rows, reference)


def _input_delta(rows: Rows, node: Node, x: Array) -> Array:
    return rows.mutants.astype(x.dtype) - x


def _zero_delta(rows: Rows, node: Node, constant: Array, like: Array) -> Array:
    return np.zeros((rows.count, *(node.type.extent(i) for i in range(1, node.type.rank))), dtype_of(node.type.dtype))


def _reference_window(rows: Rows, node: Node, table: Array, like: Array) -> Array:
    """A parameter's axes meet the value's from the right."""
    if node.operands[0].type.batched:
        return table
    table = table.reshape([1] * (node.operands[1].type.rank - table.ndim) + list(table.shape))
    return np.broadcast_to(table, (rows.count, *table.shape[1:]))


def _materialise(rows: Rows, node: Node, x: Array, *reference: Array) -> Array:
    return rows.over(node, x, reference[0]) if reference else x


def _aggregate(kind: str) -> Callable[..., Array]:
    return lambda rows, node, x, reference: WHOLE[kind](node, rows.over(node, x, reference))


def _resume(rows: Rows, node: Node, x: Array, reference: Array, states: Array, *parameters: Array) -> Array:
    return recurrence(node, rows.over(node, x, reference), *parameters)


TILE: dict[str, Callable[..., Array]] = {
    "input_delta": _input_delta,
    "zero_delta": _zero_delta,
    "reference_window": _reference_window,
    "slice_assign": lambda rows, node, delta, reference: delta + reference,
    "difference": lambda rows, node, value, reference: value - reference,
    "materialise": _materialise,
    "realign": lambda rows, node, x: x,
    "window_max": _aggregate("reduce_max"),
    "window_min": _aggregate("reduce_min"),
    "window_logsumexp": _aggregate("reduce_logsumexp"),
    "window_softmax_pool": _aggregate("softmax_pool"),
    "resume": _resume,
}
"""The ops that exist in the tile section only; the others compute what they compute in the model."""
