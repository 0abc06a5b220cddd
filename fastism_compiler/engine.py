"""The engine: the model specialised to one table of change ranges, and run on job lists."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastism_compiler.blocks import OutputWindow
from fastism_compiler.emit.program import Finish, ProgramSpec, build, strict_float32
from fastism_compiler.frontend.lowering import Lowered
from fastism_compiler.inputs import Array
from fastism_compiler.ir import ChangeRanges, Graph, TensorType, Window
from fastism_compiler.ir.errors import IRError, OptionError
from fastism_compiler.ir.graph import Tiling
from fastism_compiler.jobs import Jobs, cut_tiles
from fastism_compiler.letters import Letters
from fastism_compiler.passes import Context, Pipeline
from fastism_compiler.passes.base import Measure


@dataclass(frozen=True, slots=True)
class Block:
    """Results of one block: `[n, *out]` per output, `[n]` trusted, `[b, *out]` references."""

    outputs: list[Array]
    trusted: Array
    references: list[Array]


class Engine:
    """One pipeline run, and the programs emitted from it (compiled on first use).

    Args:
        lowered: the model from the frontend.
        ranges: the change ranges this engine is specialised for.
        pipeline: the passes to run.
        context: what they may know.
        letters: what replacements are given for.
        finish: selection and reduction of the outputs.
        most_rows: rows whose results may exist at once on the device.
    """

    def __init__(
        self,
        lowered: Lowered,
        pipeline: Pipeline,
        context: Context,
        letters: Letters,
        finish: Finish,
        most_rows: int,
    ) -> None:
        self.ranges: ChangeRanges = context.ranges
        self.graph: Graph = pipeline.run(lowered.graph.copy(), context)
        self.context = context
        self.sequence_type = sequence_type(lowered.graph)
        self.letters = letters
        self.most_rows = most_rows
        self.bindings, self._finish = lowered.bindings, finish
        self._programs: dict[ProgramSpec, Any] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._lock = threading.Lock()

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
        states = [(n, n.facts.state) for n in self.graph.outputs]
        return [
            OutputWindow(s.axis, n.carrier.start, n.carrier.width) if isinstance(s, Window) else None for n, s in states
        ]

    def program(self, spec: ProgramSpec) -> Any:
        """The `tf.function` for these static sizes; made once."""
        with self._lock:
            if spec not in self._programs:
                self._programs[spec] = build(self.graph, self.bindings, spec, self._finish)
            return self._programs[spec]

    @property
    def programs(self) -> dict[ProgramSpec, Any]:
        """All programs emitted so far."""
        return dict(self._programs)

    def spec(self, sequences: int, tiles: int, delta: bool) -> ProgramSpec:
        """The program that runs about `tiles` tiles over up to `sequences` sequences.

        Blocks are powers of two; tiles are one, two or four full scans of a
        block, or as many as memory allows, so that few programs serve every job list.
        """
        block = block_size(sequences)
        rows, scan = self.tile_sizes(block)
        times = next((n for n in (1, 2, 4) if tiles <= n * scan), 4)
        most = max(self.most_rows // rows, 1)
        context = self.context
        return ProgramSpec(
            block, min(times * scan, most), rows, self.letters.numbers, delta, context.jit, context.precision
        )

    def tile_sizes(self, block: int) -> tuple[int, int]:
        """Rows per tile, and tiles of a full scan, for blocks of this many sequences."""
        if block not in self._sizes:
            self._sizes[block] = self.tiling.rows(block), self.tiling.tiles(block)
        return self._sizes[block]

    def run(self, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
        """Score `jobs` on one block of sequences (flat inputs `[b, ...]`)."""
        rows, _ = self.tile_sizes(block_size(len(inputs[0])))
        tiles = cut_tiles(jobs, self.tiling.groups, rows)
        spec = self.spec(len(inputs[0]), len(tiles.job), delta)
        program = self.program(spec)
        block = [_pad_rows(x, spec.sequences) for x in inputs]
        replacement = _on_carrier(jobs.replacement, self.ranges, jobs.change, self.sequence_type.extent(1))
        pieces = []
        with strict_float32():
            for begin in range(0, len(tiles.job), spec.tiles):
                job = tiles.job[begin : begin + spec.tiles]
                active = len(job)
                job = _pad_rows(job, spec.tiles)
                pieces.append(
                    self._call(program, block, jobs.sequence[job], jobs.change[job], replacement[job], active)
                )
        outputs = [_gather([p[0][k] for p in pieces], tiles.slot) for k in range(len(pieces[0][0]))]
        trusted = _gather([p[1] for p in pieces], tiles.slot)
        references = [y[: len(inputs[0])] for y in pieces[0][2]]
        return Block(outputs, trusted, references)

    @staticmethod
    def _call(program: Callable[..., Any], *args: Any) -> tuple[list[Array], Array, list[Array]]:
        import tensorflow as tf

        inputs, *tables, active = args
        outputs, trusted, references = program(
            [tf.convert_to_tensor(x) for x in inputs],
            *[tf.convert_to_tensor(t) for t in tables],
            tf.constant(active, tf.int32),
        )
        return [y.numpy() for y in outputs], trusted.numpy(), [y.numpy() for y in references]


@dataclass(frozen=True, slots=True)
class EngineFactory:
    """Specialises one lowered model: to change ranges, a block size, and the form of the results.

    Attributes:
        lowered: the model from the frontend.
        pipeline: the passes to run.
        stop_at: layers from which on everything is recomputed.
        jit: compile with XLA.
        precision: how products of deltas and weights are rounded.
        letters: what replacements are given for.
        finish: selection and reduction of the outputs.
        contiguous: sparse programs need no selection but what the graph has.
        most_rows: rows whose results may exist at once on the device.
        tile_bytes: memory that the widest step of a tile should stay below.
        measure: times kernels; None: the cost model decides.
    """

    lowered: Lowered
    pipeline: Pipeline
    stop_at: frozenset[str]
    jit: bool
    precision: str
    letters: Letters
    finish: Finish
    contiguous: bool
    most_rows: int
    tile_bytes: int
    measure: Measure | None = None

    def __call__(self, ranges: ChangeRanges, sequences: int, sparse: bool = False) -> Engine:
        """An engine for blocks of this many sequences.

        Raises:
            OptionError: sparse results where outputs are reduced, or picked by lists and integers.
        """
        if sparse and not self.contiguous:
            raise OptionError(
                "sparse results are of whole outputs, or of slices of them",
                expected="no lists and no integers in outputs=, a reduce= of Keras operations or none",
            )
        context = Context(
            ranges, self.stop_at, self.jit, sequences, self.tile_bytes, self.precision, sparse, self.measure
        )
        finish = list if sparse else self.finish
        return Engine(self.lowered, self.pipeline, context, self.letters, finish, self.most_rows)


def sequence_type(graph: Graph) -> TensorType:
    """The type of the mutated input."""
    if graph.sequence is None:
        raise IRError("the graph has no sequence")
    return graph.sequence.type


def _on_carrier(replacement: Array, ranges: ChangeRanges, change: Array, length: int) -> Array:
    """Replacements as the program stores them: from `min(lo, length - w)` on, not from `lo`."""
    width = ranges.max_width
    late = (ranges.lo - np.minimum(ranges.lo, length - width))[change]
    if not late.any():
        return replacement
    row = np.clip(np.arange(width) - late[:, None], 0, width - 1)
    return np.take_along_axis(replacement, row[..., None], axis=1)


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
