"""Where two mutations of a sequence are still apart: how far down a model their windows have not met."""

from __future__ import annotations

from itertools import takewhile

import numpy as np

from fastism_compiler.ir import Graph, Node
from fastism_compiler.ir.cut import necks
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.queries import is_linear, rule_of


def last_apart(graph: Graph, distance: int) -> Node | None:
    """The last node that everything passes through, at which no two changes at least so far apart share a position.

    In front of it are linear and piecewise linear ops only. A mutant's value is made of the reference and a difference
    there; behind another function (softplus, say) it may be so much smaller that the sum has lost its digits.

    Args:
        graph: annotated by the passes up to `propagate-ranges`, for one letter at every position.
        distance: between the first letters of both.

    Returns:
        A node of `[B, positions, channels]`; None if they meet at once.
    """
    bent = next((n for n in graph if n.changes and n is not graph.sequence and not _keeps_digits(n)), None)
    early = set(takewhile(lambda n: n is not bent, graph))
    spread = [(n, n.window.ranges) for n in necks(graph) if n in early and _has_channels(n)]
    apart = [n for n, ranges in spread if are_apart(ranges.lo, ranges.hi, distance)]
    return apart[-1] if apart else None


def _keeps_digits(node: Node) -> bool:
    return rule_of(node).piecewise_linear or is_linear(node, [o.changes for o in node.operands])


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
