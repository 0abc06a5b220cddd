"""Buckets: change ranges that share one program. Each bucket is specialised on its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.ranges import ChangeRanges
from fastism_compiler.passes.base import Context
from fastism_compiler.passes.cost.model import FITTED
from fastism_compiler.passes.cost.programs import reference_cost, row_cost
from fastism_compiler.passes.cost.rows import row_work

Mask = npt.NDArray[np.bool_]
"""Some of a bucket's ranges: `[R]`, in their order."""

_MOST = 4
_FEWEST = 64
"""Fewest ranges of a bucket that is worth splitting."""
_WORTH_HALVING = 0.9
"""Memory of half a bucket, relative to the whole, above which halving it helps no more."""


def split_by_width(ranges: ChangeRanges) -> list[Table]:
    """Range numbers by bucket: widths above `2**(k-1)` and up to `2**k` share one.

    A row costs what the widest range of its bucket costs.
    """
    octave = np.ceil(np.log2(ranges.widths)).astype(np.int64)
    return [np.flatnonzero(octave == o) for o in np.unique(octave)]


def split_by_edge(
    ranges: ChangeRanges,
    length: int,
    buckets: list[Table],
    cost: Callable[[Table], float],
    cut: Callable[[Table], Sequence[Mask]] = lambda members: (),
) -> list[Table]:
    """Split buckets into ranges near an edge of the sequence and the others, where that is predicted to pay.

    Windows are clipped at the edges, so a mutation near one costs less, but
    only in a program that does not also have to hold the widest windows. And
    convolutions in a row run as one only in a program none of whose ranges is
    so near an edge that the padding between them matters.

    Args:
        ranges: all change ranges.
        length: positions of the sequence.
        buckets: range numbers by bucket.
        cost: of a scan of one bucket, its reference pass included.
        cut: of one bucket, for each two convolutions in a row: the ranges for which an edge keeps them apart.

    Returns:
        Buckets; the parts of one follow each other, the farthest from the edges first.
    """
    room = np.minimum(ranges.lo, length - ranges.hi)
    parts: list[Table] = []
    for bucket in buckets:
        by_room = bucket[np.argsort(-room[bucket], kind="stable")]
        few = len(bucket) < _FEWEST
        reached = [] if few else [int(room[bucket][mask].max()) for mask in cut(bucket)]
        places = sorted({int((room[bucket] > most).sum()) for most in reached} - {0})
        parts += [np.sort(bucket)] if few else _split(by_room, places, cost)
    return parts


def split_by_memory(
    ranges: ChangeRanges, buckets: Sequence[Table], need: Callable[[Table], int], budget: int
) -> list[Table]:
    """Split buckets whose ranges lie too far apart for what one program keeps of a sequence.

    A program keeps the part of each reference value that its ranges read. Ranges next to each other read next to the
    same; each part then has a reference pass of its own.

    Args:
        ranges: all change ranges.
        buckets: range numbers by bucket.
        need: bytes that the program of some ranges takes.
        budget: bytes that it should take.

    Returns:
        Buckets, parts of one in the order of the sequence; a bucket that takes no less in two parts stays whole.
    """
    parts: list[Table] = []
    for bucket in buckets:
        in_order = bucket[np.argsort(ranges.lo[bucket], kind="stable")]
        parts += [np.sort(part) for part in _in_halves(in_order, need, budget)]
    return parts


def _in_halves(members: Table, need: Callable[[Table], int], budget: int) -> list[Table]:
    """Ranges in the order of the sequence, halved until each part fits, or halving does not help."""
    whole = need(members)
    if whole <= budget or len(members) == 1:
        return [members]
    halves = np.array_split(members, 2)
    if max(map(need, halves)) > _WORTH_HALVING * whole:
        return [members]
    return [part for half in halves for part in _in_halves(half, need, budget)]


def _split(by_room: Table, places: Sequence[int], cost: Callable[[Table], float]) -> list[Table]:
    """Range numbers, farthest from the edges first, cut into as many parts as cost least: equal, or at `places`."""

    def parts_of(cuts: Sequence[int]) -> list[Table]:
        return [np.sort(part) for part in np.split(by_room, cuts)]

    def price(cuts: Sequence[int]) -> float:
        return sum(map(cost, parts_of(cuts))) * (1 + FITTED.program * len(cuts))

    equal = [tuple(np.cumsum([len(p) for p in np.array_split(by_room, n)])[:-1]) for n in range(1, _MOST + 1)]
    return parts_of(min([*equal, *_cuts_at(places, price)], key=price))


def _cuts_at(places: Sequence[int], price: Callable[[Sequence[int]], float]) -> Iterator[tuple[int, ...]]:
    """Greedy cuts at some of `places`: each time one more, the best beside those already chosen."""
    chosen: tuple[int, ...] = ()
    while len(chosen) < min(_MOST - 1, len(places)):
        chosen = min((tuple(sorted({*chosen, p})) for p in places if p not in chosen), key=price)
        yield chosen


def scan_cost(graph: Graph, context: Context) -> float:
    """Cost of a scan of one sequence, in multiply-adds; memory traffic and tile starts are converted.

    Args:
        graph: lowered, and tiled.
        context: its ranges, and the sequences of a block, which share tiles.
    """
    count, sequences, tiling = context.ranges.count, context.batch_size, graph.tiling
    starts = tiling.tiles(sequences) / sequences * tiling.overhead if tiling else 0.0
    return reference_cost(graph, context) + count * row_cost(graph, context) + starts * row_work(graph, count)
