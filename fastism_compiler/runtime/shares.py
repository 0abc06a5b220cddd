"""Change ranges shared out to engines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from fastism_compiler.mutations.inputs import Array
from fastism_compiler.runtime.engine import AnyEngine

Share = tuple[Array, AnyEngine]
"""Indices of change ranges, and the engine that scores them."""


def shared_out(shares: Sequence[Share], change: Array) -> Iterator[tuple[AnyEngine, Array, Array]]:
    """Engines with jobs of these ranges: the engine, the indices of its jobs, and of their ranges in the engine."""
    for members, engine in shares:
        place = np.full(max(members.max(), change.max(initial=0)) + 1, -1)
        place[members] = np.arange(len(members))
        rows = np.flatnonzero(place[change] >= 0)
        if len(rows):
            yield engine, rows, place[change[rows]].astype(np.int32)
