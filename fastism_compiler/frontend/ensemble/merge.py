"""Graphs of several models as one graph that reads each input once."""

from __future__ import annotations

from collections.abc import Sequence

from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.source import SourceModel
from fastism_compiler.ir import Graph, Node
from fastism_compiler.ir.queries import rule_of

_NAMED = ("binding", "call")
"""Attributes that name something in the bindings."""


def merged(members: Sequence[SourceModel]) -> tuple[Graph, Bindings]:
    """One graph of all members, and its bindings.

    The inputs are those of the first member. Layers and bindings carry the number of their model in front
    (`0/conv1d`). Outputs are those of the first member, then those of the second, and so on.
    """
    graph, bindings = Graph(members[0].graph.name), Bindings()
    for number, member in enumerate(members):
        twins = _copied(graph, member.graph, number)
        bindings.parameters |= {f"{number}/{name}": v for name, v in member.bindings.parameters.items()}
        bindings.calls |= {f"{number}/{name}": v for name, v in member.bindings.calls.items()}
        graph.outputs += [twins[node] for node in member.graph.outputs]
    return graph, bindings


def _copied(graph: Graph, model: Graph, number: int) -> dict[Node, Node]:
    """Copy a model into the graph. Node of the model -> its copy; inputs are shared."""
    if not graph.inputs:
        graph.inputs = [graph.add(n.op, (), n.attrs, type=n.type, layer=n.layer, name=n.name) for n in model.inputs]
        graph.sequence = graph.inputs[model.inputs.index(model.sequence)] if model.sequence else None
    twins = dict(zip(model.inputs, graph.inputs, strict=True))
    for node in model.nodes():
        if node not in twins:
            attrs = {key: f"{number}/{value}" if key in _NAMED else value for key, value in node.attrs.items()}
            declared = node.type if rule_of(node).declared else None
            layer = None if node.layer is None else f"{number}/{node.layer}"
            operands = [twins[operand] for operand in node.operands]
            twins[node] = graph.add(node.op, operands, attrs, type=declared, layer=layer, name=node.name)
    return twins
