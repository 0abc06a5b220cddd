"""The engine: the model specialised to one table of change ranges, and run on job lists."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.functions import traced
from fastism_compiler.emit.precision import arithmetic_of
from fastism_compiler.emit.program import BlockProgram
from fastism_compiler.emit.reference import Finish
from fastism_compiler.frontend.source import SourceModel
from fastism_compiler.ir import ChangeRanges, Graph, TensorType, Window
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.tiling import Tiling
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.mutations.letters import Letters
from fastism_compiler.passes import Context, Pipeline
from fastism_compiler.passes.cost.programs import reference_cost, row_cost
from fastism_compiler.results.blocks import OutputWindow
from fastism_compiler.runtime.blocks import Block, LoopShape, run_block
from fastism_compiler.runtime.traced import Traced


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


class Engine:
    """One pipeline run, and the programs emitted from it (compiled on first use).

    Args:
        source: the model, its graph narrowed to what is selected.
        pipeline: the passes to run.
        context: what they may know, including the change ranges.
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
        jit, cpu_only = context.jit, context.cpu_only
        arithmetic = arithmetic_of(context.precision, jit, cpu_only)
        self.block = block_size(context.batch_size)
        parts = self.graph, source.bindings, finish, letters.numbers
        self.program = BlockProgram(*parts, arithmetic, cpu_only)
        self._passes: dict[int, Traced] = {}
        self._loops: dict[LoopShape, Traced] = {}
        self._sizes: dict[int, tuple[int, int]] = {}
        self._lock = threading.RLock()

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

    @property
    def notes(self) -> list[str]:
        """What users should know of how it runs."""
        return []

    @property
    def functions(self) -> list[Traced]:
        """All functions traced so far."""
        return [*self._passes.values(), *self._loops.values()]

    def loop_shape(self, sequences: int, jobs: Table) -> LoopShape:
        """The loop that runs for so many sequences, and jobs of each group.

        Sizes are padded where that costs little, so that few programs serve all
        calls. They depend on the arguments alone: results do not depend on earlier calls.
        """
        cost, (row, reference) = self.context.cost, self._predicted
        spare = max(cost.spare_seconds, cost.spare_share * (float(jobs.sum()) * row + sequences * reference))
        block = max(self.block, block_size(sequences))
        while block >= 2 * sequences and (block - sequences) * reference > spare:
            block //= 2
        most, tiles = self._scan_sizes(block)
        rows = self.tiling.rows_for(jobs, most, cost.spare_tile / row, cost.spare_rows)
        within = min(cost.loop_bytes // self._row_bytes(block), self.most_rows // self.lanes) // rows
        long = round(cost.loop_seconds / (rows * row))
        return LoopShape(block, max(min(within, -(-tiles // self.lanes), long), 1), rows)

    def _scan_sizes(self, block: int) -> tuple[int, int]:
        """Rows per tile, and tiles, of a scan of a whole block of this many sequences."""
        if block not in self._sizes:
            self._sizes[block] = self.tiling.rows(block), self.tiling.tiles(block)
        return self._sizes[block]

    def shape_of_scan(self, sequences: int) -> LoopShape:
        """The loop that runs for a scan of every range of this many sequences."""
        return self.loop_shape(sequences, np.unique(self.groups, return_counts=True)[1] * sequences)

    @cached_property
    def _predicted(self) -> tuple[float, float]:
        """Seconds that a row, and the reference pass of one sequence, are predicted to take."""
        costs = (max(cost(self.graph, self.context), 1.0) for cost in (row_cost, reference_cost))
        row, reference = (cost / self.context.machine.multiply_adds for cost in costs)
        return row, reference

    def _row_bytes(self, block: int) -> int:
        """Bytes of the results of one row; of results that are not the graph's outputs, by the reference pass."""
        if self.finish is list:
            results = [tf.TensorSpec(n.type.shape, n.type.dtype) for n in self.graph.outputs]
        else:
            results = self.reference_pass(block).outputs[1]
        return max(sum(int(np.prod(y.shape[1:])) * y.dtype.size for y in results), 1)

    def reference_pass(self, sequences: int) -> Traced:
        """The reference pass over this many sequences, traced once."""
        with self._lock:
            if sequences not in self._passes:
                inputs = [tf.TensorSpec([sequences, *n.type.shape[1:]], n.type.dtype) for n in self.graph.inputs]
                self._passes[sequences] = Traced(self.program.reference_pass, self.context.jit, lambda: (inputs,))
            return self._passes[sequences]

    def tile_loop(self, shape: LoopShape) -> Traced:
        """The loop over tiles of these sizes, traced once."""
        with self._lock:
            if shape not in self._loops:
                run = self.program.loop(shape.watch)
                self._loops[shape] = Traced(run, self.context.jit, lambda: self._loop(shape))
            return self._loops[shape]

    @cached_property
    def scan_function(self) -> Any:
        """Both parts in one `tf.function` (see `BlockProgram.scan`)."""
        return traced(self.program.scan, self.context.jit)

    @property
    def groups(self) -> Table:
        """One label per range; a tile holds rows of one label."""
        return self.tiling.groups

    def _loop(self, shape: LoopShape) -> tuple[Any, ...]:
        """What a loop of these sizes takes."""
        tables = [tf.TensorSpec(t.shape, t.dtype) for t in self.reference_pass(shape.sequences).outputs[0]]
        return tables, *self._jobs(shape)

    def _jobs(self, shape: LoopShape) -> tuple[tf.TensorSpec, ...]:
        """What a loop takes besides tables (see `BlockProgram.tile_loop`)."""
        rows = [shape.tiles, shape.rows]
        index = tf.TensorSpec(rows, tf.int32)
        replacement = tf.TensorSpec([*rows, self.ranges.max_width, self.letters.columns], self.sequence_type.dtype)
        return index, index, replacement, tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.bool)

    def run(self, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
        """Score `jobs` on one block of sequences (flat inputs `[b, ...]`)."""
        return run_block(self, inputs, jobs, delta=delta)


def sequence_type(graph: Graph) -> TensorType:
    """The type of the mutated input."""
    if graph.sequence is None:
        raise IRError("the graph has no sequence")
    return graph.sequence.type


def block_size(sequences: int) -> int:
    """The power of two that holds this many sequences."""
    return 1 << (sequences - 1).bit_length()
