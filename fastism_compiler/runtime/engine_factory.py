"""The engine factory: one lowered model, specialised to what a call needs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from fastism_compiler.emit.reference import Finish
from fastism_compiler.frontend.keras.lowering import Lowered
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.tiling import Tiling
from fastism_compiler.mutations.letters import Letters
from fastism_compiler.passes import Context, Pipeline
from fastism_compiler.passes.base import Measure
from fastism_compiler.passes.cost.machine import TWO_CORES, Machine
from fastism_compiler.passes.cost.model import FITTED, CostModel
from fastism_compiler.runtime.engine import Engine


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
        devices: local devices that share the sequences of a block; none: where TensorFlow runs the model.
        lanes: parts of a block that run side by side where there are no `devices`.
        machine: what programs are planned for.
        shared_cache: bytes that a tile had better not exceed (see `Context`); None: as large as memory allows.
        core_cache: bytes that lanes keep near their cores; None: they do not.
        measure: times kernels; None: the cost model decides.
        cost: what was fitted to measurements.
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
    devices: tuple[str, ...] = ()
    lanes: int = 1
    machine: Machine = TWO_CORES
    shared_cache: int | None = FITTED.shared_cache
    core_cache: int | None = FITTED.core_cache
    measure: Measure | None = None
    cost: CostModel = FITTED

    def __call__(self, ranges: ChangeRanges, sequences: int, sparse: bool = False) -> Engine:
        """An engine for blocks of this many sequences.

        Raises:
            OptionError: sparse results where outputs are reduced, or picked by lists and integers.
        """
        from fastism_compiler.runtime.devices import ShardedEngine

        if sparse and not self.contiguous:
            raise OptionError(
                "sparse results are of whole outputs, or of slices of them",
                expected="no lists and no integers in outputs=, a reduce= of Keras operations or none",
            )
        own = -(-sequences // (len(self.devices) or self.lanes))
        context = Context(
            ranges=ranges,
            stop_at=self.stop_at,
            jit=self.jit,
            batch_size=own,
            tile_bytes=self.tile_bytes,
            shared_cache=None if self.machine.gpu else self.shared_cache,
            core_cache=self.core_cache if self.lanes > 1 and not self.devices else None,
            slice_bytes=None if self.devices or self.machine.gpu else self.cost.slice_bytes,
            precision=self.precision,
            sparse=sparse,
            machine=self.machine,
            cost=self.cost,
            measure=self.measure,
        )
        finish = list if sparse else self.finish
        parts = self.lowered, self.pipeline, context, self.letters, finish, self.most_rows
        if self.devices:
            return ShardedEngine(*parts, devices=self.devices)
        engine = Engine(*parts, self.lanes)
        if self._starves(engine.tiling, sequences, own):
            return replace(self, lanes=1)(ranges, sequences, sparse)
        return engine

    def _starves(self, tiling: Tiling, sequences: int, own: int) -> bool:
        """Whether lanes of `own` sequences leave too few rows to share a slice of a dense kernel."""
        return bool(tiling.groups.any()) and tiling.rows(own) < self.cost.starved * tiling.rows(sequences)
