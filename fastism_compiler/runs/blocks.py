"""Blocks: a task's rows in pieces of one size, the last filled up, so that every run calls the same programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fastism_compiler.runs.layout import Array


@dataclass(frozen=True, slots=True)
class Scored:
    """What one task gives: arrays by name, and counts for the summary."""

    arrays: dict[str, Array]
    counts: dict[str, int]


def blocks_of(rows: Mapping[str, Array], size: int) -> Iterator[tuple[dict[str, Array], int]]:
    """`(block, rows that count)`: the last row is repeated to fill the last block."""
    count = len(next(iter(rows.values())))
    for begin in range(0, count, size):
        filled = np.minimum(np.arange(begin, begin + size), count - 1)
        yield {name: values[filled] for name, values in rows.items()}, min(size, count - begin)


def join(names: Sequence[str], pieces: Sequence[Sequence[Array]], counts: dict[str, int]) -> Scored:
    """The blocks' arrays one after the other, and how many of their scores are NaN."""
    arrays = {name: np.concatenate(parts) for name, parts in zip(names, zip(*pieces, strict=True), strict=True)}
    unscored = sum(int(np.isnan(y).sum()) for name, y in arrays.items() if name.startswith("scores/"))
    return Scored(arrays, {**counts, "unscored": unscored})
