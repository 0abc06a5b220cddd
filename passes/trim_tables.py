"""trim-tables: which part of each reference value the tiles read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastism_compiler.ir.checks import tables_hold_what_is_read
from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import read_in_place, rule_of, states_read
from fastism_compiler.ir.ranges import Kept
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass


@dataclass(frozen=True)
class TrimTablesPass(Pass):
    """Keep of each reference value what some row reads, so that tables do not grow with the sequence.

    1. A value that is read only where windows are stored keeps the hull of these windows, over all ranges.
    2. The running tables of an aggregation keep the states at the ends of its windows.
    """

    name: ClassVar[str] = "trim-tables"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("place-windows",)
    ensures: ClassVar[StageSpec] = StageSpec(tile=(tables_hold_what_is_read,))

    def run(self, graph: Graph, context: Context) -> None:
        for node in graph.nodes(Section.REFERENCE):
            node.facts.kept = _hull_of_reads(node)
        for node in graph.nodes(Section.TILE):
            if rule_of(node).runs_on:
                states = states_read(node)
                node.facts.kept = states if states.extent <= node.operands[0].window.length else None


def _hull_of_reads(node: Node) -> Kept | None:
    """The part that tiles read, or None where they read all of it, or nothing."""
    readers = [(u, i) for u in node.users if u.in_tile for i, o in enumerate(u.operands) if o is node]
    reads = [read_in_place(u, i) for u, i in readers if i not in rule_of(u).shape_only and not rule_of(u).runs_on]
    if not node.type.batched or not reads:
        return None
    parts = [r for r in reads if r is not None]
    if len(parts) < len(reads) or len({p.axis for p in parts}) > 1:
        return None
    hull = Kept(parts[0].axis, min(p.first for p in parts), max(p.stop for p in parts))
    return hull if hull.extent < node.type.extent(hull.axis) else None
