"""Lanes: parts of one block's jobs that run side by side, one thread each.

A program runs one operation after the other, each on every core, and the cores
wait for each other in between. Lanes do not: while one waits, the other
works, and a tile can be small enough to stay in the cache of its core
(BPNet: 0.207 s a sequence with one lane, 0.153 s with two, on 2 cores).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastism_compiler.ir.position_map import Table
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs

_REFERENCE_SHARE = 0.05
"""What repeating the reference pass in every lane may cost of a scan."""


def lanes_of_one_sequence(lanes: int, reference_share: float) -> int:
    """Lanes that share the ranges of one sequence, when a reference pass is this part of its scan."""
    return int(np.clip(_REFERENCE_SHARE / max(reference_share, 1e-9), 1, lanes))


@dataclass(frozen=True, slots=True)
class Lane:
    """Part of a block.

    Attributes:
        first: its first sequence.
        stop: the sequence behind its last.
        rows: `[n]` the jobs of the block that it runs.
    """

    first: int
    stop: int
    rows: Table

    def jobs(self, jobs: Jobs) -> Jobs:
        """Its jobs, with its sequences counted from 0; any job where it has none, for the references."""
        if len(self.rows) == len(jobs) and self.first == 0:
            return jobs
        own = jobs.take(self.rows if len(self.rows) else np.zeros(1, np.int64))
        sequence = np.clip(own.sequence - self.first, 0, self.stop - self.first - 1).astype(np.int32)
        return Jobs(sequence, own.change, own.replacement)


def cut_lanes(sequences: int, jobs: Jobs, lanes: int, sharing: int) -> list[Lane]:
    """Share out a block: next to each other whole sequences, or the ranges of one sequence.

    Args:
        sequences: sequences of the block.
        jobs: what to run.
        lanes: most lanes.
        sharing: most lanes that one sequence may be shared by.
    """
    if sequences == 1 and sharing > 1 and len(jobs) >= sharing:
        by_change = np.argsort(jobs.change, kind="stable")
        return [Lane(0, 1, np.sort(part)) for part in np.array_split(by_change, sharing)]
    size = -(-sequences // lanes)
    cuts = [(first, min(first + size, sequences)) for first in range(0, sequences, size)]
    if len(cuts) == 1:
        return [Lane(0, sequences, np.arange(len(jobs)))]
    owner = jobs.sequence // size
    return [Lane(first, stop, np.flatnonzero(owner == k)) for k, (first, stop) in enumerate(cuts)]


@dataclass(frozen=True, slots=True)
class Block:
    """Results of one block: `[n, *out]` per output, `[n]` trusted, `[b, *out]` references."""

    outputs: list[Array]
    trusted: Array
    references: list[Array]


def joined(blocks: Sequence[Block], lanes: Sequence[Lane], jobs: int) -> Block:
    """The lanes' results as one: in the order of the jobs, references in that of the sequences."""
    outputs = [np.empty((jobs, *y.shape[1:]), y.dtype) for y in blocks[0].outputs]
    trusted = np.ones(jobs, bool)
    for block, lane in zip(blocks, lanes, strict=True):
        for result, y in zip(outputs, block.outputs, strict=True):
            result[lane.rows] = y[: len(lane.rows)]
        trusted[lane.rows] = block.trusted[: len(lane.rows)]
    shared = lanes[-1].first == 0
    apart = blocks[:1] if shared else blocks
    return Block(
        outputs, trusted, [np.concatenate(parts) for parts in zip(*(b.references for b in apart), strict=True)]
    )
