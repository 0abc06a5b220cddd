"""Cutting a model in two at a node that everything which the sequence changes passes through."""

from __future__ import annotations

from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node


def necks(graph: Graph) -> list[Node]:
    """The nodes that every path from the sequence to an output passes through, producers before users.

    The sequence is none of them, nor is an output.

    Raises:
        IRError: the graph has no sequence.
    """
    changed = _between(graph)
    users = {node: sum(user in changed for user in node.users) for node in changed}
    found, waiting = [], 0
    for node in (n for n in graph.nodes() if n in changed):
        if node in graph.outputs:
            break  # its value leaves the graph here: nothing that follows carries all
        waiting += users[node] - sum(o in changed for o in set(node.operands))
        if waiting == users[node] and node is not graph.sequence:
            found.append(node)
    return found


def front(graph: Graph, neck: str) -> Graph:
    """A copy that returns the value of one node, and nothing else."""
    part = graph.copy()
    part.outputs = [_named(part, neck)]
    part.prune()
    return part


def back(graph: Graph, neck: str) -> Graph:
    """A copy that takes the value of one node in the place of the sequence, as an input that is `computed`.

    Raises:
        IRError: an output depends on the sequence in another way.
    """
    part = graph.copy()
    node, sequence = _named(part, neck), _sequence(part)
    place = part.inputs.index(sequence)
    attrs = {**sequence.attrs, "input": node.name, "computed": True}
    part.sequence = part.add("input", (), attrs, type=node.type, layer=node.layer, name=node.name)
    part.replace(node, part.sequence)
    part.inputs[place] = part.sequence
    part.prune()
    if sequence in part:
        raise IRError("an output depends on the sequence past this node", got=neck, node=sequence)
    return part


def _between(graph: Graph) -> set[Node]:
    """The sequence, and what depends on it and an output on that."""
    sequence = _sequence(graph)
    changed = {sequence, *graph.descendants(sequence)}
    wanted: set[Node] = set()
    waiting = [n for n in graph.outputs if n in changed]
    while waiting:
        node = waiting.pop()
        if node not in wanted:
            wanted.add(node)
            waiting += [o for o in node.operands if o in changed]
    return wanted


def _named(graph: Graph, name: str) -> Node:
    return next(n for n in graph.nodes() if n.name == name)


def _sequence(graph: Graph) -> Node:
    if graph.sequence is None:
        raise IRError("the graph has no sequence")
    return graph.sequence
