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
from fastism_compiler.runtime.engine import Engine

SLICE_BYTES = 4 << 20
"""Bytes of a dense kernel that a CPU copies and multiplies at once (47 rows by a slice of 103 MB: 13.5 ms at once,
9.3 ms in parts of 2 to 10 MB, 10.3 ms of 1 MB)."""
SHARED_CACHE = 4 << 20
"""A lane's part of the cache that cores share. It is not theirs alone: tiles of 4 MB are as fast as of 16 MB where
both fit (Basset, Factorized Basset, DeepSTARR, scBasset), and SpliceAI takes 0.67 s a sequence with them, for 0.98.
(A Beluga tile of 45 MB is faster than one of 11 MB all the same, 1.49 s for 1.64 s, as it reads its dense kernel for
128 rows and not for 32: `benchmarks.tiles`.)"""
CORE_CACHE = 2 << 20
"""Bytes of a tile's widest step that stay near one core (measured in two lanes on cores with 1 MB of L2, seconds a
sequence: BPNet 0.16 with tiles of 2 MB, 0.205 with 16 MB; Factorized Basset 0.118 and 0.097)."""


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
    shared_cache: int | None = SHARED_CACHE
    core_cache: int | None = CORE_CACHE
    measure: Measure | None = None

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
            slice_bytes=None if self.devices or self.machine.gpu else SLICE_BYTES,
            precision=self.precision,
            sparse=sparse,
            machine=self.machine,
            measure=self.measure,
        )
        finish = list if sparse else self.finish
        parts = self.lowered, self.pipeline, context, self.letters, finish, self.most_rows
        if self.devices:
            return ShardedEngine(*parts, devices=self.devices)
        engine = Engine(*parts, self.lanes)
        return replace(self, lanes=1)(ranges, sequences, sparse) if _starves(engine.tiling, sequences, own) else engine


_STARVED = 0.75
"""Tiles this much smaller read slices of a dense kernel too often (Beluga, batch 4: 47 rows in 1.88 s, 32 in 1.91)."""


def _starves(tiling: Tiling, sequences: int, own: int) -> bool:
    """Whether lanes of `own` sequences leave too few rows to share a slice of a dense kernel."""
    return bool(tiling.groups.any()) and tiling.rows(own) < _STARVED * tiling.rows(sequences)
