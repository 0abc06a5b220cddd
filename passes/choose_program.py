"""choose-program: predict the speed-up, and use the model itself where there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastism_compiler.ir.checks import has_prediction
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.tiling import Prediction
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.cost.programs import naive_cost, tile_cost


@dataclass(frozen=True)
class ChooseProgramPass(Pass):
    """Predict time per mutation, of the model itself and of the tile, from arithmetic and traffic.

    1. The model: its multiply-adds, and memory passes over every changed result
       of an op that is not element-wise (those count among the passes).
    2. The tile: the multiply-adds that are left, writing and reading of stored
       windows, the same passes over values recomputed whole, and reading of the
       weights. Where a core's cache holds the tile, its traffic costs less.
    3. Where the ratio is below `break_even`, the program is naive: each mutant
       is scored whole by the model. A sparse program never is: it has windows to return.
    """

    name: ClassVar[str] = "choose-program"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("plan-tiles",)
    ensures: ClassVar[StageSpec] = StageSpec(graph=(has_prediction,))

    break_even: float = 1.05

    def run(self, graph: Graph, context: Context) -> None:
        changed = any(n.changes for n in graph.outputs)
        speed_up = naive_cost(graph, context) / tile_cost(graph, context) if changed else float("inf")
        graph.prediction = Prediction(speed_up, naive=speed_up < self.break_even and not context.sparse)
