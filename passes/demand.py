"""demand: which positions of each value the outputs need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

from fastism_compiler.ir.checks import has_demand, operands_are_demanded, operands_are_wanted, outputs_are_demanded
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import frame_of, needed_near, needed_positions, rule_of
from fastism_compiler.ir.ranges import ChangeRanges
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass


@dataclass(frozen=True)
class DemandPass(Pass):
    """Walk backward from the outputs; what a crop or a `valid` edge cuts off is not needed.

    A node's demand is the hull over its users. Outputs, and whatever a stop
    or an aggregation reads, are needed whole. Where all outputs behind a node
    are wanted around the change only, so is the node, for each change range.
    """

    name: ClassVar[str] = "demand"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("classify-layers",)
    ensures: ClassVar[StageSpec] = StageSpec(
        reference=(has_demand, operands_are_demanded, operands_are_wanted), graph=(outputs_are_demanded,)
    )

    def run(self, graph: Graph, context: Context) -> None:
        for node in reversed(graph.nodes()):
            axis = node.facts.axis
            if axis is None:
                continue
            length = node.type.extent(axis)
            needs = [(0, length)] if node in graph.outputs else []
            for user in node.users:
                needs += [needed_positions(user, i, axis) for i in _positions(user, node)]
            needs = [n for n in needs if n[0] < n[1]]
            node.facts.demand = (min(n[0] for n in needs), max(n[1] for n in needs)) if needs else (0, 0)
            node.facts.near = _near(node, graph, context.ranges)


def _near(node: Node, graph: Graph, ranges: ChangeRanges) -> ChangeRanges | None:
    """For each change, the hull of the positions that users want around it; None where one wants all."""
    axis = node.facts.axis
    if rule_of(node).framed:
        if axis not in (None, node.attrs["axis"]):
            raise OptionError("around() takes positions on axis 1 of an output", got=f"axis {axis}", node=node)
        return frame_of(node, ranges)
    if axis is None or node in graph.outputs or not node.users:
        return None
    parts = [needed_near(user, i, axis) for user in node.users for i in _positions(user, node)]
    known = [part for part in parts if part is not None]
    return reduce(ChangeRanges.union, known) if len(known) == len(parts) else None


def _positions(user: Node, node: Node) -> list[int]:
    return [i for i, operand in enumerate(user.operands) if operand is node]
