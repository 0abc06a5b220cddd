"""Where two mutations of a sequence are still apart: how far down a model their windows have not met."""

from __future__ import annotations

import numpy as np

from fastism_compiler.ir import Graph, Node
from fastism_compiler.ir.cut import necks
from fastism_compiler.ir.position_map import Table


def last_apart(graph: Graph, distance: int) -> Node | None:
    """The last node that everything passes through, at which no two changes at least so far apart share a position.

    Args:
        graph: annotated by the passes up to `propagate-ranges`, for one letter at every position.
        distance: between the first letters of both.

    Returns:
        A node of `[B, positions, channels]`; None if they meet at once.
    """
    apart = [
        n for n in necks(graph) if _has_channels(n) and are_apart(n.window.ranges.lo, n.window.ranges.hi, distance)
    ]
    return apart[-1] if apart else None


def _has_channels(node: Node) -> bool:
    """Whether it changes in windows of positions, and can be replaced like a sequence of channels."""
    return (
        node.has_window
        and node.window.axis == 1
        and node.type.rank == 3
        and node.type.batched
        and node.type.dtype in ("float32", "float64")
    )


def are_apart(lo: Table, hi: Table, distance: int) -> bool:
    """Whether windows `[lo, hi)` share no position where their numbers differ by at least `distance`."""
    if distance >= len(lo):
        return True
    first, second = slice(None, len(lo) - distance), slice(distance, None)
    none = hi <= lo
    lo, hi = np.where(none, np.inf, lo), np.where(none, -np.inf, hi)
    next_lo = np.minimum.accumulate(lo[::-1])[::-1]  # of this window and all that follow
    next_hi = np.maximum.accumulate(hi[::-1])[::-1]
    return bool(((hi[first] <= next_lo[second]) | (next_hi[second] <= lo[first])).all())
