"""The verifier: what must hold of every graph, and what the passes that have run promise of this one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fastism_compiler.ir.checks import Check, GraphCheck, is_well_formed
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.snapshot import facts_of, structure_of


@dataclass(frozen=True, slots=True)
class StageSpec:
    """What a pass promises to hold after it, until another pass invalidates it.

    A check of a node may read the node and its operands: it is repeated only where one of these has changed.

    Attributes:
        reference: checks of every node of the reference section.
        tile: checks of every node of the tile section.
        graph: checks of the graph as a whole.
        lowered: there is a tile section from now on; before, tile nodes are refused.
    """

    reference: tuple[Check, ...] = ()
    tile: tuple[Check, ...] = ()
    graph: tuple[GraphCheck, ...] = ()
    lowered: bool = False


Promises = Sequence[tuple[str, StageSpec]]
"""Who promises what: names of passes, with their specs, in the order in which they ran."""


def verify(graph: Graph, promises: Promises = ()) -> None:
    """Check the graph, and that every promise holds.

    Args:
        graph: the graph to check.
        promises: what passes have promised of it.

    Raises:
        IRError: the first broken rule, with the node and its neighbours.
    """
    Verifier(graph).verify(promises)


class Verifier:
    """Verifies one graph again and again, between passes.

    A check that every node has passed is repeated only for nodes that have changed since, or whose operands have.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._states: dict[Node, tuple[object, ...]] = {}
        self._passed: set[tuple[Section, Check]] = set()

    def verify(self, promises: Promises = ()) -> None:
        """Check the graph, and that every promise holds.

        Raises:
            IRError: the first broken rule, with the node and its neighbours.
        """
        _check_interface(self.graph)
        rebuilt, changed = self._changes()
        for node in rebuilt:
            _complain("", is_well_formed(node), node)
        tile = self.graph.nodes(Section.TILE)
        if tile and not any(spec.lowered for _, spec in promises):
            raise IRError("tile nodes exist only after a pass that promises a tile section", node=tile[0])
        passed, self._passed = self._passed, set()
        for name, spec in promises:
            for section, checks in ((Section.REFERENCE, spec.reference), (Section.TILE, spec.tile)):
                for check in checks:
                    nodes = changed if (section, check) in passed else self.graph
                    for node in nodes:
                        if node.section is section:
                            _complain(name, check(node), node)
                    self._passed.add((section, check))
            for graph_check in spec.graph:
                _complain(name, graph_check(self.graph))

    def _changes(self) -> tuple[list[Node], list[Node]]:
        """Nodes whose structure, and nodes whose structure or facts, changed since the last call, or an operand's."""
        before, now = self._states, dict[Node, tuple[object, ...]]()
        for node in self.graph:
            now[node] = structure_of(node), facts_of(node), self.graph.sequence, self.graph.ranges
        self._states = now
        built = {n for n, state in now.items() if n in before and before[n][0] == state[0]}
        same = {n for n in built if before[n] == now[n]}
        return _unlike(built, now), _unlike(same, now)


def _unlike(same: set[Node], nodes: Iterable[Node]) -> list[Node]:
    """The nodes that are not in `same`, or have an operand that is not."""
    return [n for n in nodes if n not in same or not same.issuperset(n.operands)]


def _complain(name: str, complaint: str | None, node: Node | None = None) -> None:
    if complaint:
        raise IRError(f"after {name}: {complaint}" if name else complaint, node=node)


def _check_interface(graph: Graph) -> None:
    for node in [*graph.inputs, *graph.outputs, *graph.tile_outputs]:
        if node not in graph:
            raise IRError("inputs and outputs must belong to the graph", node=node)
    if graph.sequence is not None and graph.sequence not in graph.inputs:
        raise IRError("the sequence must be one of the inputs", node=graph.sequence)
    names = [n.name for n in graph]
    if len(set(names)) != len(names):
        raise IRError("node names must be unique")
