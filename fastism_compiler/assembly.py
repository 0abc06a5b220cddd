"""Assembly: the engines of a program, and how many sequences a block has, within a budget of memory."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from fastism_compiler.errors import MemoryBudgetError
from fastism_compiler.halving import Halving
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.passes.compose_convolutions import cut_pairs
from fastism_compiler.planning.buckets import scan_cost, split_by_edge, split_by_memory, split_by_width
from fastism_compiler.planning.memory import Budget, bytes_within, choose_batch_size
from fastism_compiler.runtime.engine import Engine
from fastism_compiler.runtime.engine_factory import EngineFactory
from fastism_compiler.runtime.scoring import Parts, Scorer, Share


class Assembly:
    """The engines of one program.

    Args:
        factory: makes them.
        parts: what scoring needs besides engines.
        most_sequences: most sequences per block.
        budget: memory that a block may take.

    Attributes:
        buckets: range numbers, one array for each engine.
        batch_size: sequences per block.
        notes: for users, on how the budget is kept.

    Raises:
        MemoryBudgetError: a budget that the user has set, and that one sequence already exceeds.
    """

    def __init__(self, factory: EngineFactory, parts: Parts, most_sequences: int, budget: Budget) -> None:
        self._factory, self._parts, self._budget = factory, parts, budget
        self._made: dict[tuple[bytes, bytes, int, bool], Engine] = {}
        self.notes: list[str] = []
        self.buckets = self._by_cost(most_sequences)
        try:
            self.batch_size = self._fitting(most_sequences, budget.bytes)
        except MemoryBudgetError:
            self.batch_size = self._within_memory()

    def scorer(self, sparse: bool) -> Scorer:
        """A scorer that runs these engines."""
        engines = [self._bucket(b, self.batch_size, sparse) for b in self.buckets]
        return Scorer(self._parts, self.buckets, engines, self._specialised, self.batch_size, self._halving)

    @cached_property
    def _halving(self) -> Halving:
        sequence = self._parts.inputs.sequence
        length = self._parts.inputs.types[sequence].extent(1)
        return Halving(self._factory, length, sequence, self._bytes, self._budget.bytes)

    def _by_cost(self, sequences: int) -> list[Array]:
        ranges, inputs = self._parts.ranges, self._parts.inputs
        buckets = split_by_width(ranges)
        if any(self._bucket(b, sequences).naive for b in buckets):
            return buckets

        def cost(members: Array) -> float:
            engine = self._bucket(members, sequences)
            return scan_cost(engine.graph, engine.context)

        def cut(members: Array) -> Sequence[Array]:
            return cut_pairs(self._bucket(members, sequences).graph)

        return split_by_edge(ranges, inputs.types[inputs.sequence].extent(1), buckets, cost, cut)

    def _fitting(self, most: int, budget: int) -> int:
        return choose_batch_size(
            lambda n: [self._bucket(b, n) for b in self.buckets], self._parts.selection, most, budget
        )

    def _within_memory(self) -> int:
        """Block size 1, with ranges split until they fit; or the model itself, if the user has set no budget."""
        together = len(self.buckets)
        self.buckets = split_by_memory(
            self._parts.ranges, self.buckets, lambda b: self._bytes(self._bucket(b, 1)), self._budget.bytes
        )
        if len(self.buckets) > together:
            self.notes.append(
                f"ranges are scored in {len(self.buckets)} groups, with a pass over the sequence for each, as what all "
                "of them read does not fit the memory budget"
            )
        try:
            return self._fitting(1, self._budget.most)
        except MemoryBudgetError as error:
            if self._budget.given:
                raise
            self.notes = [f"the model itself scores every mutant: windows take {error.expected} of memory"]
            self._factory, self._made = self._factory.of_whole_mutants(), {}
            self.buckets = split_by_width(self._parts.ranges)
            return 1

    def _bytes(self, engine: Engine) -> int:
        return bytes_within(engine, self._parts.selection, engine.context.batch_size, self._budget.bytes)

    def _bucket(self, members: Array, sequences: int, sparse: bool = False) -> Engine:
        """The engine of some of the program's ranges."""
        return self._engine(self._parts.ranges.subset(members), sequences, sparse)

    def _engine(self, ranges: ChangeRanges, sequences: int, sparse: bool = False) -> Engine:
        """The engine of these ranges, made once."""
        key = (ranges.lo.tobytes(), ranges.hi.tobytes(), sequences, sparse)
        if key not in self._made:
            self._made[key] = self._factory(ranges, sequences, sparse)
        return self._made[key]

    def _specialised(self, ranges: ChangeRanges) -> list[Share]:
        """Engines for other ranges, in groups that fit the budget."""

        def engine(members: Array) -> Engine:
            return self._engine(ranges.subset(members), self.batch_size)

        every = [np.arange(ranges.count)]
        groups = split_by_memory(ranges, every, lambda b: self._bytes(engine(b)), self._budget.bytes)
        return [(members, engine(members)) for members in groups]
