"""The reference section: every value of the model, on whole sequences."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.interpreter.arrays import Array, dtype_of
from fastism_compiler.ir.interpreter.whole import WHOLE
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import rule_of

Calls = Mapping[str, Callable[[list[Array]], list[Array]]]
"""What opaque ops run, by the name of the call: operands in, flat results out."""


def evaluate(
    graph: Graph, inputs: Sequence[Array], parameters: Mapping[str, Array], calls: Calls | None = None
) -> dict[Node, Array]:
    """Every value of the reference section.

    Args:
        graph: a graph, lowered or not.
        inputs: one array for each of `graph.inputs`, `[B, ...]`.
        parameters: arrays by their name (attribute `binding`).
        calls: what opaque ops run; they may be left out where there are none.

    Returns:
        Node -> value: `[B, ...]`, or without the batch axis where its type has none.

    Raises:
        KeyError: a parameter or a call that is not given.
    """
    values = {node: _as_typed(node, x) for node, x in zip(graph.inputs, inputs, strict=True)}
    done: dict[str, list[Array]] = {}
    with np.errstate(all="ignore"):
        for node in graph.nodes(Section.REFERENCE):
            if node.op == "parameter":
                values[node] = _as_typed(node, parameters[node.attrs["binding"]])
            elif node.op == "literal":
                values[node] = _as_typed(node, np.asarray(node.attrs["value"]))
            elif node not in values:
                values[node] = run(node, [values[o] for o in node.operands], calls or {}, done)
    return values


def run(node: Node, operands: list[Array], calls: Calls, done: dict[str, list[Array]]) -> Array:
    """What an op computes; `done` caches the results of calls, since several nodes may read one call."""
    if not rule_of(node).opaque:
        return _as_typed(node, WHOLE[node.op](node, *operands))
    name = node.attrs["call"]
    if name not in done:
        done[name] = calls[name](operands)
    return _as_typed(node, done[name][node.attrs.get("output", 0)])


def _as_typed(node: Node, value: Array) -> Array:
    return np.asarray(value).astype(dtype_of(node.type.dtype), copy=False)
