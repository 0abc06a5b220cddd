"""The pipeline: an ordered tuple of passes, verified after each one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from fastism_compiler.ir.errors import FastISMError, OptionError, PassError
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.snapshot import Structure
from fastism_compiler.ir.verifier import Verifier
from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.canonicalize import CanonicalizePass
from fastism_compiler.passes.choose_program import ChooseProgramPass
from fastism_compiler.passes.classify_layers import ClassifyLayersPass
from fastism_compiler.passes.compose_convolutions import ComposeConvolutionsPass
from fastism_compiler.passes.crop_early import CropEarlyPass
from fastism_compiler.passes.demand import DemandPass
from fastism_compiler.passes.insert_slice_assign import InsertSliceAssignPass
from fastism_compiler.passes.place_windows import PlaceWindowsPass
from fastism_compiler.passes.plan_tiles import PlanTilesPass
from fastism_compiler.passes.promises import Ledger
from fastism_compiler.passes.propagate_ranges import PropagateRangesPass
from fastism_compiler.passes.segment import SegmentPass
from fastism_compiler.passes.select_kernels import SelectKernelsPass
from fastism_compiler.passes.trim_tables import TrimTablesPass

Observer = Callable[[Pass, Graph, float], None]
"""Called after each pass with the pass, the graph and the seconds it took."""


@dataclass(frozen=True)
class Pipeline:
    """Passes in the order they run. Editing methods return a new pipeline; an unknown name is an `OptionError`.

    Attributes:
        passes: the passes, in order.
        check: verify the graph after every pass, with the promises of all that have run.
        observers: callbacks after each pass, to time or print.
    """

    passes: tuple[Pass, ...]
    check: bool = True
    observers: tuple[Observer, ...] = ()

    def run(self, graph: Graph, context: Context) -> Graph:
        """Run every pass over `graph`, in place; return it.

        Raises:
            PassError: a pass failed, or left a graph that does not verify, or one that it requires is missing or
                out of date. The message names it, the passes before it, and the cause.
        """
        ledger, verifier = Ledger(), Verifier(graph)
        for step in self.passes:
            ledger.admit(step)
            before = ledger.names
            started = time.perf_counter()
            try:
                self._take(step, graph, context)
                ledger.enter(step)
                if self.check:
                    verifier.verify(ledger.promises)
            except Exception as error:
                cause = str(error) if isinstance(error, FastISMError) else f"{type(error).__name__}: {error}"
                raise PassError(f"pass {step.name} failed after {before or 'no pass'}:\n{cause}") from error
            for observe in self.observers:
                observe(step, graph, time.perf_counter() - started)
        return graph

    def _take(self, step: Pass, graph: Graph, context: Context) -> None:
        """Run one pass; an analysis may change nothing but facts."""
        if not self.check or step.kind is not Kind.ANALYSIS:
            step.run(graph, context)
            return
        before = Structure.of(graph)
        step.run(graph, context)
        change = before.change_to(Structure.of(graph))
        if change is not None:
            what, node = change
            raise PassError("an analysis records facts and changes nothing else", got=f"it {what}", node=node)

    def names(self) -> list[str]:
        """The names of the passes, in order."""
        return [p.name for p in self.passes]

    def insert_before(self, name: str, new: Pass) -> Pipeline:
        """This pipeline with `new` in front of the pass called `name`."""
        at = self._index(name)
        return replace(self, passes=(*self.passes[:at], new, *self.passes[at:]))

    def insert_after(self, name: str, new: Pass) -> Pipeline:
        """This pipeline with `new` behind the pass called `name`."""
        at = self._index(name) + 1
        return replace(self, passes=(*self.passes[:at], new, *self.passes[at:]))

    def replace(self, name: str, new: Pass) -> Pipeline:
        """This pipeline with `new` in the place of the pass called `name`."""
        at = self._index(name)
        return replace(self, passes=(*self.passes[:at], new, *self.passes[at + 1 :]))

    def remove(self, name: str) -> Pipeline:
        """This pipeline without the pass called `name`."""
        at = self._index(name)
        return replace(self, passes=(*self.passes[:at], *self.passes[at + 1 :]))

    def observed_by(self, *observers: Observer) -> Pipeline:
        """This pipeline with further callbacks between passes."""
        return replace(self, observers=(*self.observers, *observers))

    def __iter__(self) -> Iterator[Pass]:
        return iter(self.passes)

    def _index(self, name: str) -> int:
        if name not in self.names():
            raise OptionError("no pass of that name", expected=", ".join(self.names()), got=name)
        return self.names().index(name)


DEFAULT = (
    CanonicalizePass(),
    ClassifyLayersPass(),
    CropEarlyPass(),
    DemandPass(),
    PropagateRangesPass(),
    SegmentPass(),
    InsertSliceAssignPass(),
    ComposeConvolutionsPass(),
    SelectKernelsPass(),
    PlaceWindowsPass(),
    TrimTablesPass(),
    PlanTilesPass(),
    ChooseProgramPass(),
)


def default_pipeline() -> Pipeline:
    """The built-in passes, in order."""
    return Pipeline(DEFAULT)
