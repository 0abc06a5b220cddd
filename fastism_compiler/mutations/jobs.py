"""Job lists: which sequence, change range and replacement each row is, cut into tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fastism_compiler.ir.position_map import Table
from fastism_compiler.mutations.inputs import Array

Index = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Jobs:
    """Mutations of one block of sequences: `[n]` sequence, `[n]` change range, `[n, w, C]` replacement."""

    sequence: Index
    change: Index
    replacement: Array

    def __len__(self) -> int:
        return len(self.sequence)

    def take(self, rows: Array) -> Jobs:
        """The jobs of these numbers, in this order."""
        return Jobs(self.sequence[rows], self.change[rows], self.replacement[rows])


@dataclass(frozen=True, slots=True)
class Tiles:
    """Jobs in tiles of equal size, each of one group; short tiles repeat their last job.

    Attributes:
        job: `[N, T]` job in each row.
        own: `[N, T]` bool, rows that are the first of their job.
    """

    job: Index
    own: npt.NDArray[np.bool_]


def jobs_of_groups(jobs: Jobs, groups: Table) -> Table:
    """The number of jobs of each group that has any."""
    counts: Table = np.bincount(groups[jobs.change])
    return counts[counts > 0]


def cut_tiles(jobs: Jobs, groups: Table, size: int) -> Tiles:
    """Sort jobs by group, range and sequence, and pad each group to whole tiles.

    Args:
        jobs: what to run.
        groups: group label of each change range.
        size: rows per tile.
    """
    group = groups[jobs.change]
    order = np.lexsort((jobs.sequence, jobs.change, group))
    _, first, sizes = np.unique(group[order], return_index=True, return_counts=True)
    padded = -(-sizes // size) * size
    begin = np.cumsum(padded) - padded
    rows = np.repeat(begin - first, sizes) + np.arange(len(order))
    job = np.full(int(padded.sum()), -1)
    job[rows] = np.arange(len(order))
    own = job >= 0
    job = order[np.maximum.accumulate(job)]
    return Tiles(job.reshape(-1, size).astype(np.int32), own.reshape(-1, size))
