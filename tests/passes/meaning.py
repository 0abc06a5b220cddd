"""What a small graph means, in numbers: random inputs, weights and mutants, evaluated without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt
from fastism_compiler.ir import Graph, Node
from fastism_compiler.ir.interpreter import evaluate, evaluate_rows
from fastism_compiler.ir.queries import rule_of
from fastism_compiler.ir.types import FLOATS
from fastism_compiler.passes import Context

from tests.passes.small_graphs import Small

Array = npt.NDArray[Any]
TOKENS = 5
"""Tokens in use; every small model knows at least as many."""


@dataclass(frozen=True)
class Numbers:
    """One mutant of each of a few sequences, each in another change range.

    Attributes:
        inputs: the reference's inputs, `[B, ...]` each.
        mutants: the mutated sequences, `[B, ...]`.
        changes: which change range each mutates, `[B]`.
    """

    inputs: list[Array]
    mutants: Array
    changes: npt.NDArray[np.int64]
    parameters: Mapping[str, Array]
    calls: Mapping[str, Callable[[list[Array]], list[Array]]]

    def outputs(self, graph: Graph, *, mutated: bool) -> list[Array]:
        """The outputs of the model itself."""
        values = self.values(graph, mutated=mutated)
        return [values[n] for n in graph.outputs]

    def values(self, graph: Graph, *, mutated: bool) -> dict[Node, Array]:
        """Every value of the model itself."""
        pairs = zip(graph.inputs, self.inputs, strict=True)
        inputs = [self.mutants if mutated and node is graph.sequence else x for node, x in pairs]
        return evaluate(graph, inputs, self.parameters, self.calls)

    def rows(self, graph: Graph, mutants: Array | None = None, *, stored: bool = False) -> dict[Node, Array]:
        """The values of the tile section, of these mutants or of others; with `stored`, of what windows store."""
        changes = self.changes if stored else None
        mutants = self.mutants if mutants is None else mutants
        return evaluate_rows(graph, self.inputs, mutants, self.parameters, self.calls, changes=changes)


def numbers(lowered: Small, context: Context, seed: int = 0) -> Numbers:
    """Random numbers for a graph, and mutants in the first, the middle and the last change range."""
    random, graph, ranges = np.random.default_rng(seed), lowered.graph, context.ranges
    changes = np.array([0, ranges.count // 2, ranges.count - 1])
    inputs = [_random(random, node, len(changes)) for node in graph.inputs]
    assert graph.sequence is not None
    other = _random(random, graph.sequence, len(changes))
    reference = inputs[graph.inputs.index(graph.sequence)]
    positions = np.arange(reference.shape[1])
    changed = (ranges.lo[changes][:, None] <= positions) & (positions < ranges.hi[changes][:, None])
    changed = changed.reshape(*changed.shape, *[1] * (reference.ndim - 2))
    parameters = {name: _weights(random, value) for name, value in lowered.bindings.parameters.items()}
    return Numbers(inputs, np.where(changed, other, reference), changes, parameters, stand_ins(graph))


def _random(random: np.random.Generator, node: Node, count: int) -> Array:
    """Numbers for an input; tokens where something reads it as tokens, whatever its dtype."""
    shape = (count, *(node.type.extent(i) for i in range(1, node.type.rank)))
    if node.type.dtype in FLOATS and not any(_reads_tokens(u) for u in node.users):
        return random.normal(size=shape)
    return random.integers(0, TOKENS, shape)


def _reads_tokens(node: Node) -> bool:
    rule = rule_of(node)
    return rule.vocabulary is not None or (rule.keeps_tokens and any(_reads_tokens(u) for u in node.users))


def _weights(random: np.random.Generator, variable: Any) -> Array:
    """A weight or a constant, disturbed where it is a float; what was positive (a variance) stays so."""
    value = np.asarray(variable)
    if value.dtype.kind != "f":
        return value
    noise = random.normal(size=value.shape) * 0.3
    return np.where(value == 1, np.exp(noise), value + noise)


def stand_ins(graph: Graph) -> dict[str, Callable[[list[Array]], list[Array]]]:
    """Some function for each opaque call: passes must keep it, whatever it computes."""
    results: dict[str, dict[int, Node]] = {}
    for node in graph:
        if rule_of(node).opaque:
            results.setdefault(node.attrs["call"], {})[node.attrs.get("output", 0)] = node
    return {name: _stand_in(nodes) for name, nodes in results.items()}


def _stand_in(nodes: dict[int, Node]) -> Callable[[list[Array]], list[Array]]:
    def call(operands: list[Array]) -> list[Array]:
        x = np.concatenate([o.reshape(len(operands[0]), -1) for o in operands], axis=1).astype(float)
        return [_mix(x, nodes[i]) if i in nodes else x for i in range(max(nodes) + 1)]

    return call


def _mix(x: Array, node: Node) -> Array:
    """A nonlinear function of all elements of each row, in the node's shape."""
    random = np.random.default_rng(crc32(f"{node.attrs['call']} {node.attrs.get('output', 0)}".encode()))
    shape = tuple(node.type.extent(i) for i in range(1, node.type.rank))
    weights = random.normal(size=(x.shape[1], int(np.prod(shape)))) / np.sqrt(x.shape[1])
    mixed = np.tanh(x @ weights).reshape(len(x), *shape)
    return mixed if node.type.dtype in FLOATS else mixed > 0
