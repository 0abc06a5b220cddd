"""choose-program: predict the speed-up, and keep to the model itself where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastism_compiler.ir.arithmetic import delta_total, naive_total
from fastism_compiler.ir.graph import Graph, Node, Prediction, Section
from fastism_compiler.ir.ops import rule_of
from fastism_compiler.ir.ranges import Constant
from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.plan_tiles import row_traffic

_FROM_MEMORY = 0.84
"""Part of the results' bytes that costs the time of memory; the rest stays in caches (fitted to twelve published
models on 2 cores)."""


@dataclass(frozen=True)
class ChooseProgramPass(Pass):
    """Predict time per mutation, of the model itself and of the tile, from arithmetic and traffic.

    1. The model: its multiply-adds, and every result that no element-wise op
       makes written once.
    2. The tile: the multiply-adds that are left, every stored window written
       and read, weights read anew.
    3. Where the ratio is below `break_even`, the program is naive: each mutant
       is scored whole by the model. A sparse program never is: it has windows to return.
    """

    name: ClassVar[str] = "choose-program"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("plan-tiles",)

    break_even: float = 1.05

    def run(self, graph: Graph, context: Context) -> None:
        changed = any(not isinstance(n.facts.state, Constant) for n in graph.references)
        speed_up = naive_cost(graph, context) / tile_cost(graph, context) if changed else float("inf")
        graph.prediction = Prediction(speed_up, naive=speed_up < self.break_even and not context.sparse)


def traffic_cost(bytes_moved: float, context: Context) -> float:
    """Bytes of results, in the multiply-adds of the same time."""
    return _FROM_MEMORY * context.machine.per_byte * bytes_moved


def naive_cost(graph: Graph, context: Context) -> float:
    """One forward pass of one sequence, in multiply-adds."""
    nodes = [n for n in graph.nodes(Section.REFERENCE) if not isinstance(n.facts.state, Constant)]
    written = sum(n.type.row_size for n in nodes if not rule_of(n).elementwise)
    return naive_total(graph) + traffic_cost(4 * written, context)


def tile_cost(graph: Graph, context: Context) -> float:
    """One mutation, in multiply-adds."""
    count = context.ranges.count
    nodes = graph.nodes(Section.TILE)
    weights = sum(_weights(graph, n) for n in nodes)
    rows = graph.tiling.rows(context.batch_size) if graph.tiling else 1
    return delta_total(graph, count) / count + traffic_cost(row_traffic(graph) + 4 * weights / rows, context)


def _weights(graph: Graph, node: Node) -> int:
    """Parameters that one tile reads for a node."""
    return sum(o.type.row_size for o in graph.operands(node) if o.section is Section.REFERENCE and not o.type.batched)
