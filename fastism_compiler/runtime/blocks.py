"""Blocks: the jobs of some sequences, run by one reference pass and loops over tiles.

Operations run one after the other, each on all cores, and the cores wait for
each other in between. So the tiles of a block are shared out to *lanes*, one thread
each: while one waits, the other works, and a tile can be small enough to stay
in the cache of its core. All lanes read the tables of one reference pass.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.digits import must_watch
from fastism_compiler.emit.precision import strict_float32
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.types import effect_dtype
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs, cut_tiles, jobs_of_groups
from fastism_compiler.results.blocks import OutputWindow, window_of
from fastism_compiler.results.effects import effect
from fastism_compiler.runtime.out_of_memory import out_of_memory_told
from fastism_compiler.runtime.threads import side_by_side


@dataclass(frozen=True, slots=True)
class Block:
    """Results of one block: `[n, *out]` per output, `[n]` trusted, `[b, *out]` references."""

    outputs: list[Array]
    trusted: Array
    references: list[Array]


@dataclass(frozen=True, slots=True)
class LoopShape:
    """The static sizes of a loop over tiles.

    Attributes:
        sequences: sequences of the block (B).
        tiles: most tiles of one call (N).
        rows: mutated rows per tile (T).
        watch: look for digits lost behind large references (see `emit.digits`).
    """

    sequences: int
    tiles: int
    rows: int
    watch: bool = False


class BlockPrograms(Protocol):
    """The compiled parts of a program, and which of them a block runs."""

    @property
    def lanes(self) -> int:
        """Parts of a block's tiles that run side by side."""

    @property
    def ranges(self) -> ChangeRanges:
        """The change ranges they are specialised for."""

    @property
    def groups(self) -> Table:
        """One label per range; a tile holds rows of one label."""

    @property
    def length(self) -> int:
        """Positions of the sequence."""

    @property
    def windows(self) -> Sequence[OutputWindow | None]:
        """Per output of a sparse program: where its rows are; None where rows are whole."""

    def loop_shape(self, sequences: int, jobs: Table) -> LoopShape:
        """Sizes of the loop for so many sequences, and jobs of each group; the reference pass takes its `sequences`."""

    def reference_pass(self, sequences: int) -> Callable[..., Any]:
        """`inputs -> (tables, references)` (see `emit.program.BlockProgram`)."""

    def tile_loop(self, shape: LoopShape) -> Callable[..., Any]:
        """`(tables, sequence, change, replacement, active, delta) -> (outputs, trusted)`."""


def run_block(programs: BlockPrograms, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
    """Score `jobs` on one block of sequences.

    Args:
        programs: what runs.
        inputs: flat, `[b, ...]` each.
        jobs: what to run.
        delta: return effects.

    Raises:
        MemoryBudgetError: the device has too little memory left.
    """
    count = len(inputs[0])
    shape = programs.loop_shape(count, jobs_of_groups(jobs, programs.groups))
    reference_pass = programs.reference_pass(shape.sequences)
    tiles = cut_tiles(jobs, programs.groups, shape.rows)
    replacement = _on_carrier(jobs.replacement, programs.ranges, jobs.change, programs.length)
    results = _Results(len(jobs))
    with out_of_memory_told(), strict_float32():
        tables, references = reference_pass([tf.constant(_fill(x, shape.sequences)) for x in inputs])
        loop = _Loop(programs.tile_loop(replace(shape, watch=must_watch(tables))), shape, tables, delta)
        cuts = np.linspace(0, len(tiles.job), min(programs.lanes, len(tiles.job)) + 1).astype(int)

        def run(lane: int) -> None:
            for first in range(cuts[lane], cuts[lane + 1], shape.tiles):
                part = slice(first, min(first + shape.tiles, cuts[lane + 1]))
                job, own = tiles.job[part], tiles.own[part]
                results.put(job[own], own, *loop.run(job, jobs, replacement))

        side_by_side(run, len(cuts) - 1)
    block = Block(results.outputs, results.trusted, [np.array(y)[:count] for y in references])
    if delta:
        _subtract(block, jobs, programs.windows)
    return block


@dataclass(frozen=True, slots=True)
class _Loop:
    """A loop over tiles, with the tables that it reads."""

    run_tiles: Callable[..., Any]
    shape: LoopShape
    tables: list[Any]
    delta: bool

    def run(self, job: Array, jobs: Jobs, replacement: Array) -> tuple[list[Array], Array]:
        """Outputs and trust of tiles `job [n, T]`, at most as many as one call takes: `[n, T, ...]` each."""
        active = len(job)
        job = _fill(job, self.shape.tiles)
        tables = [tf.constant(t) for t in (jobs.sequence[job], jobs.change[job], replacement[job])]
        outputs, trusted = self.run_tiles(self.tables, *tables, tf.constant(active), tf.constant(self.delta))
        return [np.asarray(y)[:active] for y in outputs], np.asarray(trusted)[:active]


class _Results:
    """Rows of results in the order of their jobs, written by several threads, each as it gets them.

    Args:
        count: jobs.
    """

    def __init__(self, count: int) -> None:
        self.outputs: list[Array] = []
        self.trusted = np.ones(count, bool)
        self._lock = threading.Lock()

    def put(self, job: Array, own: Array, outputs: list[Array], trusted: Array) -> None:
        """Write the rows `own [n, T]` of `outputs` (`[n, T, ...]` each); they are those of `job`, in this order."""
        with self._lock:
            if not self.outputs:
                self.outputs = [np.empty((len(self.trusted), *y.shape[2:]), y.dtype) for y in outputs]
        for result, y in zip([*self.outputs, self.trusted], [*outputs, trusted], strict=True):
            result[job] = y.reshape(-1, *y.shape[2:]) if own.all() else y[own]


def _subtract(block: Block, jobs: Jobs, windows: Sequence[OutputWindow | None]) -> None:
    """Effects of outputs whose dtype does not hold every difference; the loop has done the others."""
    for k, (y, reference) in enumerate(zip(block.outputs, block.references, strict=True)):
        if window_of(windows, k) is None and effect_dtype(y.dtype.name) != y.dtype.name:
            block.outputs[k] = effect(y, reference[jobs.sequence])


def _on_carrier(replacement: Array, ranges: ChangeRanges, change: Array, length: int) -> Array:
    """Replacements as the program stores them: from `min(lo, length - w)` on, not from `lo`."""
    row = carrier_rows(ranges, length)
    if (row == np.arange(ranges.max_width)).all():
        return replacement
    return np.take_along_axis(replacement, row[change][..., None], axis=1)


def carrier_rows(ranges: ChangeRanges, length: int) -> Table:
    """Which row of its replacement each stored position of a range takes: `[R, w]`."""
    width = ranges.max_width
    late = ranges.lo - np.minimum(ranges.lo, length - width)
    return np.clip(np.arange(width) - late[:, None], 0, width - 1)


def _fill(x: Array, rows: int) -> Array:
    """Repeat the last entry up to `rows`."""
    return x if len(x) == rows else np.concatenate([x, np.repeat(x[-1:], rows - len(x), axis=0)])
