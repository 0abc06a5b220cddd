"""Buckets: change ranges that share one program. Each bucket is specialised on its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.ranges import ChangeRanges
from fastism_compiler.passes.base import Context
from fastism_compiler.passes.cost.model import FITTED
from fastism_compiler.passes.cost.programs import reference_cost, row_cost
from fastism_compiler.passes.cost.rows import row_work

_MOST = 4
_FEWEST = 64
"""Ranges of a bucket that is worth splitting."""


def split_by_width(ranges: ChangeRanges) -> list[Table]:
    """Range numbers by bucket: widths within a factor of two of each other share one.

    A row costs what the widest range of its bucket costs.
    """
    octave = np.ceil(np.log2(ranges.widths)).astype(np.int64)
    return [np.flatnonzero(octave == o) for o in np.unique(octave)]


def split_by_edge(
    ranges: ChangeRanges, length: int, buckets: list[Table], cost: Callable[[Table], float]
) -> list[Table]:
    """Split buckets into ranges near an edge of the sequence and the others, where that is predicted to pay.

    Windows are clipped at the edges, so a mutation near one costs less, but
    only in a program that does not also have to hold the widest windows.

    Args:
        ranges: all change ranges.
        length: positions of the sequence.
        buckets: range numbers by bucket.
        cost: of a scan of one bucket, its reference pass included.

    Returns:
        Buckets; parts of one bucket in a row, that farthest from the edges first.
    """
    room = np.minimum(ranges.lo, length - ranges.hi)
    return [part for bucket in buckets for part in _split(bucket[np.argsort(-room[bucket], kind="stable")], cost)]


def _split(by_room: Table, cost: Callable[[Table], float]) -> list[Table]:
    """Range numbers, farthest from the edges first, cut into as many equal parts as cost least."""
    if len(by_room) < _FEWEST:
        return [np.sort(by_room)]
    ways = [[np.sort(part) for part in np.array_split(by_room, count)] for count in range(1, _MOST + 1)]
    return min(ways, key=lambda parts: sum(map(cost, parts)) * (1 + FITTED.program * (len(parts) - 1)))


def scan_cost(graph: Graph, context: Context) -> float:
    """Cost of a scan of one sequence, in multiply-adds: traffic and the start of tiles in their currency.

    Args:
        graph: lowered, and tiled.
        context: its ranges, and the sequences of a block, which share tiles.
    """
    count, sequences, tiling = context.ranges.count, context.batch_size, graph.tiling
    starts = tiling.tiles(sequences) / sequences * tiling.overhead if tiling else 0.0
    return reference_cost(graph, context) + count * row_cost(graph, context) + starts * row_work(graph, count)


def reference_share(graph: Graph, context: Context) -> float:
    """What one reference pass is of a scan."""
    return reference_cost(graph, context) / scan_cost(graph, context)
