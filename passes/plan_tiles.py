"""plan-tiles: how rows form tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from fastism_compiler.ir.checks import rows_share_starts
from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.cost.tiles import tiling_of


@dataclass(frozen=True)
class PlanTilesPass(Pass):
    """Group ranges, and choose rows per tile.

    1. Where all rows of a tile must store a window from the same position on,
       ranges with equal starts form a group.
    2. The rows per tile minimise the cost of starting tiles, reading weights
       for each, and exceeding the caches.
    """

    name: ClassVar[str] = "plan-tiles"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("place-windows",)
    ensures: ClassVar[StageSpec] = StageSpec(graph=(rows_share_starts,))

    def run(self, graph: Graph, context: Context) -> None:
        starts = [n.carrier.start for n in graph.nodes(Section.TILE) if n.facts.shared_start]
        graph.tiling = tiling_of(graph, _labels(starts, context.ranges.count), context)


def _labels(starts: list[Table], count: int) -> Table:
    """Equal labels for ranges whose shared starts are all equal."""
    if not starts:
        return np.zeros(count, dtype=np.int64)
    labels = np.unique(np.stack(starts, axis=1), axis=0, return_inverse=True)[1]
    return labels.reshape(-1).astype(np.int64)
