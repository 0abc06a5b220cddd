"""The engine: the model specialised to one table of change ranges, and run on job lists."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.precision import strict_float32
from fastism_compiler.emit.program import ProgramSpec, build
from fastism_compiler.emit.reference import Finish
from fastism_compiler.frontend.source import SourceModel
from fastism_compiler.ir import ChangeRanges, Graph, TensorType, Window
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.tiling import Tiling
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs, Tiles, cut_tiles
from fastism_compiler.mutations.letters import Letters
from fastism_compiler.passes import Context, Pipeline
from fastism_compiler.planning.buckets import reference_share
from fastism_compiler.results.blocks import OutputWindow
from fastism_compiler.runtime.lanes import Block, cut_lanes, joined, lanes_of_one_sequence
from fastism_compiler.runtime.threads import side_by_side


class AnyEngine(Protocol):
    """What scoring needs of an engine, compiled or loaded: its ranges, and scores for job lists."""

    @property
    def ranges(self) -> ChangeRanges:
        """The change ranges it is specialised for."""

    @property
    def naive(self) -> bool:
        """Whether every mutant should rather be scored whole."""

    @property
    def windows(self) -> Sequence[OutputWindow | None]:
        """Per output of a sparse program: where its rows are; None where rows are whole."""

    def run(self, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
        """Score `jobs` on one block of sequences (flat inputs `[b, ...]`)."""


class TilePrograms(Protocol):
    """Emitted programs, and how jobs are cut into their tiles."""

    @property
    def ranges(self) -> ChangeRanges:
        """The change ranges they are specialised for."""

    @property
    def groups(self) -> Table:
        """One label per range; a tile holds rows of one label."""

    @property
    def length(self) -> int:
        """Positions of the sequence."""

    def rows(self, sequences: int) -> int:
        """Rows per tile for up to this many sequences."""

    def spec(self, sequences: int, tiles: int, delta: bool) -> ProgramSpec:
        """The program for about `tiles` tiles over up to `sequences` sequences."""

    def program(self, spec: ProgramSpec) -> Callable[..., Any]:
        """The function for these static sizes (see `emit.program.build`)."""


class Engine:
    """One pipeline run, and the programs emitted from it (compiled on first use).

    Args:
        source: the model, its graph narrowed to what is selected.
        pipeline: the passes to run.
        context: what they may know, the change ranges among it.
        letters: what replacements are given for.
        finish: selection and reduction of the outputs.
        most_rows: rows whose results may exist at once on the device.
        lanes: parts of a block that run side by side.
    """

    def __init__(
        self,
        source: SourceModel,
        pipeline: Pipeline,
        context: Context,
        letters: Letters,
        finish: Finish,
        most_rows: int,
        lanes: int = 1,
    ) -> None:
        self.ranges: ChangeRanges = context.ranges
        self.graph: Graph = pipeline.run(source.graph.copy(), context)
        self.context, self.pipeline = context, pipeline
        self.sequence_type = sequence_type(source.graph)
        self.letters, self.most_rows, self.lanes = letters, most_rows, lanes
        self.source, self.finish = source, finish
        self._functions: dict[ProgramSpec, Any] = {}
        self._programs: dict[ProgramSpec, Any] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._lock = threading.Lock()

    def retargeted(self, pipeline: Pipeline, context: Context) -> Engine:
        """The same model through other passes, or for another target."""
        return Engine(self.source, pipeline, context, self.letters, self.finish, self.most_rows, self.lanes)

    @property
    def length(self) -> int:
        """Positions of the sequence."""
        return self.sequence_type.extent(1)

    @property
    def tiling(self) -> Tiling:
        tiling = self.graph.tiling
        if tiling is None:
            raise IRError("the pipeline must end with a tiling", expected="plan-tiles", got="none")
        return tiling

    @property
    def naive(self) -> bool:
        """Whether the model itself is expected to be faster than the tile section."""
        return self.graph.prediction is not None and self.graph.prediction.naive

    @property
    def windows(self) -> list[OutputWindow | None]:
        """Per output of a sparse program: where its rows are; None where rows are whole."""
        states = [(n, n.facts.state) for n in self.graph.tile_outputs]
        return [
            OutputWindow(s.axis, n.carrier.start, n.carrier.width) if isinstance(s, Window) else None for n, s in states
        ]

    def function(self, spec: ProgramSpec) -> Any:
        """The `tf.function` for these static sizes; made once."""
        with self._lock:
            return self._function(spec)

    def program(self, spec: ProgramSpec) -> Callable[..., Any]:
        """The same, traced: it is called without looking for a trace that fits (0.1 ms, for 0.25 ms)."""
        with self._lock:
            if spec not in self._programs:
                self._programs[spec] = self._function(spec).get_concrete_function(*self._signature(spec))
            return self._programs[spec]

    @property
    def functions(self) -> dict[ProgramSpec, Any]:
        """All functions emitted so far."""
        return dict(self._functions)

    def spec(self, sequences: int, tiles: int, delta: bool) -> ProgramSpec:
        """The program that runs about `tiles` tiles over up to `sequences` sequences.

        Blocks are powers of two; tiles are one, two or four full scans of a
        block, or as many as memory allows, so that few programs serve every job list.
        """
        block = block_size(sequences)
        rows, scan = self._tile_sizes(block)
        times = next((n for n in (1, 2, 4) if tiles <= n * scan), 4)
        most = max(self.most_rows // self.lanes // rows, 1)
        context = self.context
        return ProgramSpec(
            block, min(times * scan, most), rows, self.letters.numbers, delta, context.jit, context.precision
        )

    def rows(self, sequences: int) -> int:
        """Rows per tile for up to this many sequences."""
        return self._tile_sizes(block_size(sequences))[0]

    @property
    def groups(self) -> Table:
        """One label per range; a tile holds rows of one label."""
        return self.tiling.groups

    def _tile_sizes(self, block: int) -> tuple[int, int]:
        """Rows per tile, and tiles of a full scan, for blocks of this many sequences."""
        if block not in self._sizes:
            self._sizes[block] = self.tiling.rows(block), self.tiling.tiles(block)
        return self._sizes[block]

    def _function(self, spec: ProgramSpec) -> Any:
        if spec not in self._functions:
            parts = self.graph, self.source.bindings, spec, self.finish
            self._functions[spec] = build(*parts, cpu_only=self.context.cpu_only)
        return self._functions[spec]

    def _signature(self, spec: ProgramSpec) -> tuple[Any, ...]:
        """What the function takes (see `emit.program.build`)."""
        inputs = [tf.TensorSpec([spec.sequences, *n.type.shape[1:]], n.type.dtype) for n in self.graph.inputs]
        table = tf.TensorSpec([spec.tiles, spec.rows], tf.int32)
        replacement = [spec.tiles, spec.rows, self.ranges.max_width, self.letters.columns]
        return inputs, table, table, tf.TensorSpec(replacement, self.sequence_type.dtype), tf.TensorSpec([], tf.int32)

    @cached_property
    def sharing(self) -> int:
        """Lanes that may share the ranges of one sequence."""
        if self.lanes == 1:
            return 1
        return lanes_of_one_sequence(self.lanes, reference_share(self.graph, replace(self.context, batch_size=1)))

    def run(self, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
        """Score `jobs` on one block of sequences (flat inputs `[b, ...]`)."""
        return run_lanes([self] * self.lanes, inputs, jobs, sharing=self.sharing, delta=delta)


def run_lanes(
    programs: Sequence[TilePrograms], inputs: Sequence[Array], jobs: Jobs, *, delta: bool, sharing: int = 1
) -> Block:
    """Share out a block's jobs, run all lanes at once, and bring the results together.

    Args:
        programs: one per lane.
        inputs: flat, `[b, ...]` each.
        jobs: what to run.
        delta: return effects.
        sharing: most lanes that one sequence may be shared by.
    """
    lanes = cut_lanes(len(inputs[0]), jobs, len(programs), sharing)
    # every lane runs the program of the largest, so that there is one program
    most = max(lane.stop - lane.first for lane in lanes)
    own = [lane.jobs(jobs) for lane in lanes]
    cuts = [cut_tiles(some, programs[0].groups, programs[0].rows(most)) for some in own]
    spec = programs[0].spec(most, max(len(tiles.job) for tiles in cuts), delta)

    def run(number: int) -> Block:
        block = [x[lanes[number].first : lanes[number].stop] for x in inputs]
        return _run_tiles(programs[number], spec, block, own[number], cuts[number])

    blocks = side_by_side(run, len(lanes))
    return blocks[0] if len(lanes) == 1 else joined(blocks, lanes, len(jobs))


def _run_tiles(engine: TilePrograms, spec: ProgramSpec, inputs: Sequence[Array], jobs: Jobs, tiles: Tiles) -> Block:
    """Run a program over tiles, and bring the results back into the order of the jobs."""
    program = engine.program(spec)
    block = [_pad_rows(x, spec.sequences) for x in inputs]
    replacement = _on_carrier(jobs.replacement, engine.ranges, jobs.change, engine.length)
    pieces = []
    with strict_float32():
        for begin in range(0, len(tiles.job), spec.tiles):
            job = tiles.job[begin : begin + spec.tiles]
            active = len(job)
            job = _pad_rows(job, spec.tiles)
            pieces.append(_call(program, block, jobs.sequence[job], jobs.change[job], replacement[job], active))
    outputs = [_gather([p[0][k] for p in pieces], tiles.slot) for k in range(len(pieces[0][0]))]
    trusted = _gather([p[1] for p in pieces], tiles.slot)
    references = [y[: len(inputs[0])] for y in pieces[0][2]]
    return Block(outputs, trusted, references)


def _call(program: Callable[..., Any], *args: Any) -> tuple[list[Array], Array, list[Array]]:
    inputs, *tables, active = args
    outputs, trusted, references = program(
        [tf.convert_to_tensor(x) for x in inputs],
        *[tf.convert_to_tensor(t) for t in tables],
        tf.constant(active, tf.int32),
    )
    return [y.numpy() for y in outputs], trusted.numpy(), [y.numpy() for y in references]


def sequence_type(graph: Graph) -> TensorType:
    """The type of the mutated input."""
    if graph.sequence is None:
        raise IRError("the graph has no sequence")
    return graph.sequence.type


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


def block_size(sequences: int) -> int:
    """The power of two that holds this many sequences."""
    return 1 << (sequences - 1).bit_length()


def _pad_rows(x: Array, rows: int) -> Array:
    """Repeat the last entry up to `rows`."""
    return x if len(x) == rows else np.concatenate([x, np.repeat(x[-1:], rows - len(x), axis=0)])


def _gather(pieces: list[Array], slot: Array) -> Array:
    """Results `[N, T, ...]` of consecutive calls, in the order of the jobs."""
    flat = [p.reshape(p.shape[0] * p.shape[1], *p.shape[2:]) for p in pieces]
    rows = flat[0] if len(flat) == 1 else np.concatenate(flat)
    return np.ascontiguousarray(rows[slot])
