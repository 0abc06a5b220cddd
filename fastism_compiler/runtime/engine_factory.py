"""The engine factory: one model, specialised to what a call needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastism_compiler.frontend.selection import Narrowed
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.letters import Letters
from fastism_compiler.passes import Context, Pipeline
from fastism_compiler.passes.base import Measure
from fastism_compiler.passes.choose_program import ChooseProgramPass
from fastism_compiler.passes.cost.machine import TWO_CORES, Machine
from fastism_compiler.passes.cost.model import FITTED, CostModel
from fastism_compiler.runtime.devices import ShardedEngine
from fastism_compiler.runtime.engine import Engine
from fastism_compiler.runtime.foreign_engine import ForeignEngine, Runtime


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What engines may take of the machine that they are planned for.

    Attributes:
        most_rows: rows whose results may exist at once on the device.
        tile_bytes: memory that the widest step of a tile should stay below.
        devices: local devices that share the sequences of a block; none: where TensorFlow runs the model.
        runtime: what runs programs; None: TensorFlow.
        lanes: parts of a block's tiles that run side by side where there are no `devices`.
        machine: what programs are planned for.
        shared_cache: bytes that a tile should not exceed (see `Context`); None: as large as memory allows.
        core_cache: bytes of a core's cache that its lane may fill (see `Context`); None: not planned.
        measure: times kernels; None: the cost model decides.
        cost: what was fitted to measurements.
    """

    most_rows: int
    tile_bytes: int
    devices: tuple[str, ...] = ()
    runtime: Runtime | None = None
    lanes: int = 1
    machine: Machine = TWO_CORES
    shared_cache: int | None = FITTED.shared_cache
    core_cache: int | None = FITTED.core_cache
    measure: Measure | None = None
    cost: CostModel = FITTED


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFactory:
    """Specialises one model: to change ranges, a block size, and the form of the results.

    Attributes:
        narrowed: the model, and what is left to do with its outputs.
        letters: what replacements are given for.
        pipeline: the passes to run.
        stop_at: layers from which on everything is recomputed.
        jit: compile with XLA.
        precision: how products of deltas and weights are rounded.
        resources: what engines may take of the machine.
    """

    narrowed: Narrowed
    letters: Letters
    pipeline: Pipeline
    stop_at: frozenset[str]
    jit: bool
    precision: str
    resources: Resources

    def with_resources(self, **changes: Any) -> EngineFactory:
        """The same with other resources."""
        return replace(self, resources=replace(self.resources, **changes))

    def of_whole_mutants(self) -> EngineFactory:
        """One whose engines leave every mutant to the model itself."""
        whole = ChooseProgramPass(break_even=float("inf"))
        return replace(self, pipeline=self.pipeline.replace(whole.name, whole))

    def context(self, ranges: ChangeRanges, sequences: int, sparse: bool = False) -> Context:
        """What passes may know where they specialise the model to these ranges, for blocks of so many sequences."""
        has = self.resources
        own = -(-sequences // max(len(has.devices), 1))
        return Context(
            ranges=ranges,
            stop_at=self.stop_at,
            jit=self.jit,
            batch_size=own,
            tile_bytes=has.tile_bytes,
            shared_cache=None if has.machine.gpu else has.shared_cache,
            core_cache=has.core_cache if has.lanes > 1 and not has.devices else None,
            slice_bytes=None if has.devices or has.machine.gpu else has.cost.slice_bytes,
            precision=self.precision,
            sparse=sparse,
            machine=has.machine,
            cost=has.cost,
            measure=has.measure,
        )

    def __call__(self, ranges: ChangeRanges, sequences: int, sparse: bool = False) -> Engine:
        """An engine for blocks of this many sequences.

        Raises:
            OptionError: sparse results of outputs picked by lists or integers, or reduced outside Keras operations.
        """
        if sparse and not self.narrowed.left.nothing:
            raise OptionError(
                "sparse results are of whole outputs, or of slices of them",
                expected="no lists and no integers in outputs=, a reduce= of Keras operations or none",
            )
        has, context = self.resources, self.context(ranges, sequences, sparse)
        finish = list if sparse or self.narrowed.left.nothing else self.narrowed.left
        parts = self.narrowed.source, self.pipeline, context, self.letters, finish, has.most_rows
        if has.devices:
            return ShardedEngine(*parts, devices=has.devices)
        if has.runtime is not None:
            return ForeignEngine(*parts, has.lanes, runtime=has.runtime)
        return Engine(*parts, has.lanes)
