"""What a pass is: a frozen dataclass with a name, options as fields, and `run`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import ClassVar

from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.kernels.spec import KernelShape
from fastism_compiler.ir.ranges import ChangeRanges
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.cost.machine import TWO_CORES, Machine
from fastism_compiler.passes.cost.model import FITTED, CostModel


class Kind(StrEnum):
    """Transforms rewrite the graph; analyses record facts, and are refused if they change anything else."""

    ANALYSIS = "analysis"
    TRANSFORM = "transform"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A kernel (a key of `ir.kernels.KERNELS`) for one contraction, at the shape it would run at."""

    kernel: str
    shape: KernelShape


Measure = Callable[[Candidate], float]
"""A stopwatch: seconds that one tile of a candidate takes on this machine."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the passes may know besides the graph.

    Attributes:
        ranges: the change ranges this program is specialised for.
        stop_at: names of layers; these and everything behind them are recomputed.
        jit: whether the program will be compiled by XLA.
        batch_size: sequences per block the tiling is planned for.
        tile_bytes: bytes that the widest step of a tile should not exceed.
        shared_cache: a lane's part of the cache that cores share, in bytes. Tiles should fit in it. None: there is no
            shared cache.
        core_cache: cache of one core, in bytes, for tiles that run beside each other on a core
            each; None: one tile at a time, on all cores.
        slice_bytes: slices of dense kernels larger than this are read in parts, which stay in a cache; None:
            they are read whole.
        precision: how products of deltas and weights are rounded.
        sparse: outputs with positions end as windows of deltas, not as whole values.
        machine: rates of the machine, for the cost model.
        cost: the fitted constants of the cost model.
        measure: times kernels; None: the cost model decides.
    """

    ranges: ChangeRanges
    stop_at: frozenset[str] = frozenset()
    jit: bool = True
    batch_size: int = 8
    tile_bytes: int = 16 << 20
    shared_cache: int | None = None
    core_cache: int | None = None
    slice_bytes: int | None = None
    precision: str = "float32"
    sparse: bool = False
    machine: Machine = TWO_CORES
    cost: CostModel = FITTED
    measure: Measure | None = None

    @property
    def cpu_only(self) -> bool:
        """See `Machine.cpu_only`."""
        return self.machine.cpu_only(self.jit)


@dataclass(frozen=True)
class Pass(ABC):
    """One step of the pipeline.

    Subclasses set class variables. Fields of the dataclass are the pass's options.

    Attributes:
        name: in kebab case; a built-in pass lives in the module of that name.
        kind: whether it records facts only, or rewrites the graph.
        requires: names of the passes that must have run before it.
        ensures: what holds after it. The pipeline checks it after this pass and after every later one.
        invalidates: names of the passes whose promises and facts do not hold any more after this one, where they have
            run. They, and the passes that require them, must run again before another pass may require them.
    """

    name: ClassVar[str] = ""
    kind: ClassVar[Kind] = Kind.TRANSFORM
    requires: ClassVar[tuple[str, ...]] = ()
    ensures: ClassVar[StageSpec] = StageSpec()
    invalidates: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def run(self, graph: Graph, context: Context) -> None:
        """Annotate or rewrite `graph` in place. The graph is valid before, and must be valid after."""

    def __str__(self) -> str:
        options = ",".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self))
        return f"{self.name}{{{options}}}" if options else self.name
