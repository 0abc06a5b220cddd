"""propagate-ranges: where each value may differ from the reference."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

from fastism_compiler.ir.graph import Graph, LayerClass, Node
from fastism_compiler.ir.ops import map_of
from fastism_compiler.ir.ranges import ChangeRanges, Constant, Full, State, Window
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

    def run(self, graph: Graph, context: Context) -> None:
        for node in graph:
            node.facts.state = _state(graph, node, context.ranges)


def _state(graph: Graph, node: Node, ranges: ChangeRanges) -> State:
    facts = node.facts
    if facts.layer_class is LayerClass.CONSTANT:
        return Constant()
    if facts.axis is None or facts.demand is None:
        return Full()
    if facts.layer_class is not LayerClass.INPUT:
        ranges = reduce(ChangeRanges.union, _arriving(graph, node))
    return Window(facts.axis, ranges.clip(*facts.demand), node.type.extent(facts.axis))


def _arriving(graph: Graph, node: Node) -> list[ChangeRanges]:
    arriving = []
    for i, operand in enumerate(graph.operands(node)):
        state = operand.facts.state
        if isinstance(state, Window):
            arriving.append(state.ranges.through(map_of(graph, node, i, state.axis)))
    return arriving
