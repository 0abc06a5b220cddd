"""What starting a tile costs, what caches save, and how many rows a tile therefore has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.queries import rule_of
from fastism_compiler.ir.tiling import Tiling
from fastism_compiler.passes.base import Context
from fastism_compiler.passes.cost.rows import ITEM_BYTES, row_bytes, row_work, weights_read


def tiling_of(graph: Graph, groups: Table, context: Context) -> Tiling:
    """The tiling whose rows per tile minimise starting tiles, reading weights for each, and exceeding the caches.

    Args:
        graph: with its windows placed.
        groups: one label per range; a tile holds rows of one label only.
        context: the memory a tile may take, and the caches.
    """
    widest = max((row_bytes(n) for n in graph.nodes(Section.TILE)), default=1)
    overhead = overhead_rows(graph, context)
    from_memory = context.machine.per_byte * _row_traffic(graph) / row_work(graph, context.ranges.count)
    saved = context.cost.saved_in_cache * from_memory

    def best(most: int, *caches: int | None) -> int:
        return min(range(1, most + 1), key=lambda n: overhead / n + saved * spilled(n * widest, caches))

    allowed = int(np.clip(context.tile_bytes // max(widest, 1), 1, context.machine.tile_rows))
    most = best(allowed, context.shared_cache)
    return Tiling(groups, widest, most, best(most, context.shared_cache, context.core_cache), overhead)


def spilled(size: int, caches: Sequence[int | None]) -> float:
    """Fraction of `size` bytes that a cache does not hold, averaged over the caches that are not None."""
    parts = [max(1 - cache / size, 0) for cache in caches if cache is not None]
    return sum(parts) / max(len(parts), 1)


def overhead_rows(graph: Graph, context: Context) -> float:
    """What starting a tile costs, in rows: operations that wait for each other, and weights read anew."""
    weights = sum(weights_read(n) for n in graph.nodes(Section.TILE) if rule_of(n).contraction)
    machine, cost = context.machine, context.cost
    starts = cost.tile_starts if context.core_cache is None else cost.lane_tile_starts
    work = starts * machine.per_start + cost.weight_bytes * machine.per_byte * ITEM_BYTES * weights
    return work / row_work(graph, context.ranges.count)


def _row_traffic(graph: Graph) -> int:
    """Bytes that all steps of one row write and read; element-wise ones are fused into others."""
    return sum(row_bytes(n) for n in graph.nodes(Section.TILE) if not rule_of(n).elementwise)
