"""Programs in two parts, for pairs of substitutions far enough apart (see `runtime.halves`)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property

import numpy as np

from fastism_compiler.frontend.selection import Narrowed, Remainder
from fastism_compiler.ir import ChangeRanges, Graph, Node
from fastism_compiler.ir.cut import back, front
from fastism_compiler.ir.position_map import Table
from fastism_compiler.mutations.letters import Channels
from fastism_compiler.mutations.pairs import least_distance
from fastism_compiler.passes import Pipeline
from fastism_compiler.passes.cost.programs import reference_cost, row_cost
from fastism_compiler.passes.propagate_ranges import PropagateRangesPass
from fastism_compiler.planning.necks import last_apart
from fastism_compiler.runtime.engine import AnyEngine, Engine
from fastism_compiler.runtime.engine_factory import EngineFactory
from fastism_compiler.runtime.halves import Halves

_COPIES = 4
"""How often the window of a pair at the neck is written or read before the part behind has it."""
_ALONE_BYTES, _SHARE_ALONE = 1 << 28, 0.125
"""Most bytes of what single substitutions change at the neck, and their largest share of the memory budget."""
_COMPILE_SECONDS = 20.0
"""What a call must be predicted to save: two more programs are compiled, which took 8 to 25 s on two slow cores."""


class Halving:
    """Cuts one model, where that is predicted to pay.

    Args:
        factory: makes engines of the whole model.
        length: letters of the sequence.
        sequence: its position among the flat inputs.
        bytes_of: what an engine takes.
        budget: bytes that a block may take.
    """

    def __init__(
        self, factory: EngineFactory, length: int, sequence: int, bytes_of: Callable[[Engine], int], budget: int
    ) -> None:
        self._factory, self._sequence, self._bytes_of, self._budget = factory, sequence, bytes_of, budget
        self._singles = ChangeRanges.everywhere(length, 1)
        self._made: dict[int, Halves | None] = {}
        self._lock = threading.Lock()

    def __call__(self, width: int, whole: AnyEngine, mutants: int) -> Halves | None:
        """The program for so many pairs of this width; None where it would save less than it takes to compile.

        It depends on its arguments alone: results do not depend on earlier calls.

        Args:
            width: of pairs, first and last letter included.
            whole: the engine that scores them in one window.
            mutants: how many there are.
        """
        resources = self._factory.resources
        if resources.devices or resources.runtime is not None or not isinstance(whole, Engine):
            return None
        worth = _COMPILE_SECONDS * resources.machine.multiply_adds / max(mutants, 1)
        usual = min(row_cost(whole.graph, whole.context), reference_cost(whole.graph, whole.context))
        if usual < worth:
            return None
        halves = self._of_width(width)
        return halves if halves is not None and _cost(halves) + worth <= usual else None

    def _of_width(self, width: int) -> Halves | None:
        """The program for pairs of this width, made once; None where their windows meet at once."""
        with self._lock:
            if width not in self._made:
                graph = self._annotated
                neck = None if graph is None else last_apart(graph, least_distance(width))
                self._made[width] = None if graph is None or neck is None else self._at(graph, neck, width)
            return self._made[width]

    @cached_property
    def _annotated(self) -> Graph | None:
        """The model with the window of one letter at every position; None without the passes that find it."""
        pipeline, source = self._factory.pipeline, self._factory.narrowed.source
        if PropagateRangesPass.name not in pipeline.names():
            return None
        last = pipeline.names().index(PropagateRangesPass.name)
        passes = Pipeline(pipeline.passes[: last + 1])
        return passes.run(source.graph.copy(), self._factory.context(self._singles, 1))

    def _at(self, graph: Graph, neck: Node, width: int) -> Halves | None:
        """The program cut at a node of the annotated graph."""
        whole, letters = self._factory, self._factory.letters
        source, positions, channels = whole.narrowed.source, neck.type.extent(1), neck.type.extent(2)
        part = Narrowed(replace(source, graph=front(graph, neck.name)), Remainder((None,)))
        first = self._part(replace(whole, narrowed=part), self._singles, sparse=True)
        window = None if first is None else first.windows[0]
        if first is None or window is None or not _in_order(window.start):
            return None
        at_neck = min(_hull(window.start, width - 1) + window.width, positions)
        rest = replace(whole.narrowed, source=replace(source, graph=back(graph, neck.name)))
        behind = replace(whole, narrowed=rest, letters=Channels(tuple(range(channels))))
        second = self._part(behind, ChangeRanges.everywhere(positions, at_neck))
        if second is None:
            return None
        return Halves(
            front=first,
            back=second,
            window=window,
            width=at_neck,
            position_bytes=channels * np.dtype(neck.type.dtype).itemsize,
            most_bytes=min(_ALONE_BYTES, int(_SHARE_ALONE * self._budget)),
            sequence=self._sequence,
            letters=letters,
        )

    def _part(self, factory: EngineFactory, ranges: ChangeRanges, sparse: bool = False) -> Engine | None:
        """The engine of one part; None if it does not fit the budget, or whole mutants are faster."""
        engine = factory(ranges, 1, sparse)
        return engine if self._bytes_of(engine) <= self._budget and not engine.naive else None


def _in_order(start: Table) -> bool:
    """Whether windows move in one direction only."""
    steps = np.diff(start)
    return bool((steps >= 0).all() or (steps <= 0).all())


def _hull(start: Table, distance: int) -> int:
    """How far apart two windows begin at most whose numbers differ by no more than `distance`."""
    last = np.minimum(np.arange(len(start)) + distance, len(start) - 1)
    return int(np.abs(start[last] - start).max())


def _cost(halves: Halves) -> float:
    """Of one mutant, in multiply-adds, with its share of the part in front."""
    first, second = (row_cost(e.graph, e.context) for e in (halves.front, halves.back))
    moved = _COPIES * halves.width * halves.position_bytes
    # where no two pairs share a position: two new letters at each position, for the square of one of them
    singles = 2 / max(halves.letters.count - 1, 1)
    return singles * first + second + moved * halves.front.context.machine.per_byte
