"""demand: which positions of each value the outputs need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastism_compiler.ir.checks import has_demand, operands_are_demanded, outputs_are_demanded
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import needed_positions
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass


@dataclass(frozen=True)
class DemandPass(Pass):
    """Walk backward from the outputs; a crop or `valid` edge needs no change outside it.

    A node's demand is the hull over its users. Outputs, and whatever a stop
    or an aggregation reads, are needed whole.
    """

    name: ClassVar[str] = "demand"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("classify-layers",)
    ensures: ClassVar[StageSpec] = StageSpec(
        reference=(has_demand, operands_are_demanded), graph=(outputs_are_demanded,)
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


def _positions(user: Node, node: Node) -> list[int]:
    return [i for i, operand in enumerate(user.operands) if operand is node]
