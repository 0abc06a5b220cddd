"""propagate-ranges: where each value may differ from the reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

from fastism_compiler.ir.checks import has_range, knows_ranges, range_holds_what_arrives
from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import map_of, wanted
from fastism_compiler.ir.ranges import ChangeRanges, Constant, Full, State, Window
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass


@dataclass(frozen=True)
class PropagateRangesPass(Pass):
    """Record each node's state: constant, a window per change range, or full.

    The window of a node is the hull of what its changed operands reach
    (`PositionMap.reached`), clipped to what the outputs demand.
    """

    name: ClassVar[str] = "propagate-ranges"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("classify-layers", "demand")

    ensures: ClassVar[StageSpec] = StageSpec(reference=(has_range, range_holds_what_arrives), graph=(knows_ranges,))

    def run(self, graph: Graph, context: Context) -> None:
        graph.ranges = context.ranges
        for node in graph:
            node.facts.state = _state(node, context.ranges)


def _state(node: Node, ranges: ChangeRanges) -> State:
    facts = node.facts
    if facts.layer_class is LayerClass.CONSTANT:
        return Constant()
    if facts.axis is None or facts.demand is None:
        return Full()
    if facts.layer_class is not LayerClass.INPUT:
        ranges = reduce(ChangeRanges.union, _arriving(node))
    return Window(facts.axis, wanted(node, ranges), node.type.extent(facts.axis))


def _arriving(node: Node) -> list[ChangeRanges]:
    arriving = []
    for i, operand in enumerate(node.operands):
        state = operand.facts.state
        if isinstance(state, Window):
            arriving.append(state.ranges.through(map_of(node, i, state.axis)))
    return arriving
