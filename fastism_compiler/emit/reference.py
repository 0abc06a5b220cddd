"""The reference section: the model itself on whole sequences, one op after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor, layer_scope
from fastism_compiler.emit.ops import OPS
from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.ir import Graph, Node, Section
from fastism_compiler.ir.queries import rule_of

Finish = Callable[[list[Tensor]], list[Tensor]]
"""Selects and reduces the model's outputs; leading axis: rows or sequences."""


LEAVES: dict[str, Callable[[Node, Bindings], Tensor]] = {
    "parameter": lambda node, bindings: bindings.parameter(node),
    "literal": lambda node, bindings: tf.constant(node.attrs["value"], node.attrs["dtype"]),
}
"""The tensor of a leaf; inputs are arguments."""


class Values:
    """Evaluates the reference section for one block of sequences."""

    def __init__(self, graph: Graph, bindings: Bindings, inputs: Sequence[Tensor]) -> None:
        self.graph, self.bindings = graph, bindings
        self.by_node: dict[Node, Tensor] = dict(zip(graph.inputs, inputs, strict=True))
        self._calls: dict[str, list[Tensor]] = {}

    def run(self) -> Mapping[Node, Tensor]:
        """Compute every reference node."""
        for node in self.graph.nodes(Section.REFERENCE):
            if node not in self.by_node:
                with layer_scope(node.layer):
                    self.by_node[node] = self._evaluate(node)
        return self.by_node

    def _evaluate(self, node: Node) -> Tensor:
        if rule_of(node).leaf:
            return LEAVES[node.op](node, self.bindings)
        operands = [self.by_node[o] for o in node.operands]
        if rule_of(node).opaque:
            return call_keras(self.bindings, node, operands, self._calls)
        return OPS[node.op](node, *operands)


def call_keras(bindings: Bindings, node: Node, operands: list[Tensor], calls: dict[str, list[Tensor]]) -> Tensor:
    """One output of an opaque Keras operation, which is called once for all of its outputs."""
    name = node.attrs["call"]
    if name not in calls:
        calls[name] = bindings.calls[name](operands)
    return tf.cast(calls[name][node.attrs.get("output", 0)], node.type.dtype)


def whole(
    graph: Graph, bindings: Bindings, finish: Finish, inputs: Sequence[Tensor], sequences: int | Tensor
) -> tuple[Mapping[Node, Tensor], list[Tensor]]:
    """The model itself on whole sequences: every value of the reference section, and the finished outputs."""
    values = Values(graph, bindings, inputs).run()
    return values, finish([_batched(values[n], n, sequences) for n in graph.outputs])


def _batched(x: Tensor, node: Node, sequences: int | Tensor) -> Tensor:
    """An output that no input reaches, repeated for every sequence."""
    return x if node.type.batched else tf.broadcast_to(x[None], [sequences, *x.shape])
