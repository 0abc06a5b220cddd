"""Snapshots: what a graph was, to see what has changed since."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter

from fastism_compiler.ir.facts import Facts
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node

_PARTS = ("operands", "op", "attrs", "type", "section", "name", "layer")
structure_of: Callable[[Node], tuple[object, ...]] = attrgetter(*_PARTS)
"""Everything of a node except its facts."""
_facts: Callable[[Facts], tuple[object, ...]] = attrgetter(*(f.name for f in fields(Facts)))


def facts_of(node: Node) -> tuple[object, ...]:
    """What is known about a node. A fact is never changed in place, only replaced."""
    return _facts(node.facts)


@dataclass(frozen=True, slots=True)
class Structure:
    """Nodes and interface of a graph, without facts: an analysis must not change them."""

    ends: tuple[tuple[str, object], ...]
    nodes: dict[Node, tuple[object, ...]]

    @staticmethod
    def of(graph: Graph) -> Structure:
        """The structure of `graph` as it is now."""
        ends = {
            "inputs": tuple(graph.inputs),
            "outputs": tuple(graph.outputs),
            "tile outputs": tuple(graph.tile_outputs),
            "sequence": graph.sequence,
        }
        return Structure(tuple(ends.items()), {n: structure_of(n) for n in graph})

    def change_to(self, later: Structure) -> tuple[str, Node | None] | None:
        """The first change that led to `later`, in words, and the node concerned; None where there is none."""
        for (what, before), (_, after) in zip(self.ends, later.ends, strict=True):
            if before != after:
                return f"changed the {what} of the graph", None
        for node, parts in later.nodes.items():
            known = self.nodes.get(node)
            if known is None:
                return "added a node", node
            if known != parts:
                first = next(part for part, a, b in zip(_PARTS, known, parts, strict=True) if a != b)
                return f"changed the {first} of a node", node
        removed = [n for n in self.nodes if n not in later.nodes]
        return (f"removed %{removed[0].name}", None) if removed else None
