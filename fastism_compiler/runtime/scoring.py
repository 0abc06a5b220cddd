"""Scoring one block of sequences: engines for what can be trusted, the model itself for the rest."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.precision import strict_float32
from fastism_compiler.frontend.selection import Packer
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.types import effect_dtype
from fastism_compiler.mutations.inputs import Array, InputSpec
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.mutations.letters import Letters
from fastism_compiler.results.blocks import SparseDeltas, window_of
from fastism_compiler.results.effects import effect, no_effect
from fastism_compiler.results.frames import Changes
from fastism_compiler.runtime.blocks import Block
from fastism_compiler.runtime.engine import AnyEngine
from fastism_compiler.runtime.halves import Halves
from fastism_compiler.runtime.naive import WholeScorer, mutated

_MUTANTS = 512
"""Whole mutants that exist at once."""


Whole = Callable[[Sequence[Array]], list[Array]]
"""Flat outputs `[n, *out]` of whole sequences, flat `[n, ...]`."""


Share = tuple[Array, AnyEngine]
"""Indices of change ranges, and the engine that scores them."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Jobs of one engine, and the cells `[b, r, ...]` of a block's result that they fill."""

    engine: AnyEngine
    jobs: Jobs
    at: tuple[Array, ...]

    def fills(self, shape: tuple[int, ...]) -> bool:
        """Whether they are all cells of a result of this shape, in their order."""
        cells = int(np.prod(shape))
        return len(self.jobs) == cells and bool((np.ravel_multi_index(self.at, shape) == np.arange(cells)).all())


@dataclass(frozen=True, slots=True)
class Parts:
    """What scoring needs besides engines.

    Attributes:
        inputs: what the model takes.
        selection: which outputs are returned, and how they are reduced.
        naive: the model itself.
        ranges: all change ranges.
        letters: what replacements are given for.
        whole: what scores whole mutants where nothing is in doubt; None: the model itself.
    """

    inputs: InputSpec
    selection: Packer
    naive: WholeScorer
    ranges: ChangeRanges
    letters: Letters
    whole: Whole | None = None


class Scorer:
    """What a program does with one block of sequences (flat inputs `[b, ...]`).

    Args:
        parts: what is the same whatever the engines return.
        buckets: range numbers, one array for each engine.
        engines: one per bucket.
        specialise: makes engines for other ranges.
        batch_size: most sequences per block.
        halve: makes a program in two parts for pairs of one width, given the engine of that width and how many mutants
            there are; None: it does not pay.
    """

    def __init__(
        self,
        parts: Parts,
        buckets: Sequence[Array],
        engines: Sequence[AnyEngine],
        specialise: Callable[[ChangeRanges], Sequence[Share]],
        batch_size: int,
        halve: Callable[[int, AnyEngine, int], Halves | None] = lambda width, whole, mutants: None,
    ) -> None:
        self.inputs, self.selection, self.naive = parts.inputs, parts.selection, parts.naive
        self.ranges, self.letters = parts.ranges, parts.letters
        self._elsewhere = parts.whole
        self.frames = parts.selection.frames
        self.rescored = 0
        self.buckets = [np.asarray(b) for b in buckets]
        self.engines = list(engines)
        self._specialise, self._halve, self._batch_size = specialise, halve, batch_size
        self._of_width: dict[int, Sequence[Share]] = {}
        self._lock = threading.Lock()

    @property
    def _usual(self) -> Whole:
        """What scores whole sequences where nothing is in doubt."""
        return self._elsewhere or self.naive

    def references(self, arrays: list[Array]) -> list[Array]:
        """The (selected, reduced) outputs of the sequences themselves: flat `[b, *out]`."""
        return self._whole(self._usual, arrays)

    def _whole(self, naive: Whole, inputs: list[Array]) -> list[Array]:
        """The model's selected, reduced outputs of whole sequences, computed in strict float32 as programs do."""
        with strict_float32():
            return [y.numpy() for y in self.selection([tf.constant(y) for y in naive(inputs)])]

    # Jobs of one engine

    def score(
        self, engine: AnyEngine, block: list[Array], jobs: Jobs, delta: bool, changes: Changes | None = None
    ) -> Block:
        """Run the engine; let the model itself score what cannot be trusted, or all of it where that is faster.

        Args:
            engine: what runs.
            block: its inputs.
            jobs: what it runs.
            delta: return effects.
            changes: where the jobs lie, for frames around them (default: in their change ranges).
        """
        if changes is None:
            ranges = engine.ranges
            changes = Changes(ranges.lo[jobs.change], ranges.hi[jobs.change], self.ranges.max_width)
        if len(jobs) == 0:
            references = self.references(block)
            outputs = self._framed([y[:0] for y in references], changes)
            return Block(outputs, np.ones(0, bool), references)
        if engine.naive:
            return self._score_whole(engine, block, jobs, delta, changes)
        scored = self._frames_of_windows(engine, engine.run(block, jobs, delta=delta), jobs, delta, changes)
        doubtful = np.flatnonzero(~scored.trusted)
        if len(doubtful):
            there = Changes(changes.lo[doubtful], changes.hi[doubtful], changes.cover)
            exact = self._score_whole(engine, block, jobs.take(doubtful), delta, there, self.naive.step_by_step)
            for k, (y, better) in enumerate(zip(scored.outputs, exact.outputs, strict=True)):
                window = window_of(engine.windows, k) if self.frames[k] is None else None
                y[doubtful] = better if window is None else window.cut(better, jobs.change[doubtful])
            sequences = np.unique(jobs.sequence[doubtful])  # their references may be as doubtful
            for y, better in zip(scored.references, exact.references, strict=True):
                y[sequences] = better[sequences]
            with self._lock:
                self.rescored += len(doubtful)
        return scored

    def _framed(self, whole: list[Array], changes: Changes) -> list[Array]:
        """Frames of whole rows, of the outputs that have some."""
        return [y if f is None else f.cut(y, changes) for y, f in zip(whole, self.frames, strict=True)]

    def _frames_of_windows(self, engine: AnyEngine, scored: Block, jobs: Jobs, delta: bool, changes: Changes) -> Block:
        """Frames of an engine's results: windows, or whole rows where everything may change."""
        if not any(self.frames):
            return scored
        for k, (frame, window) in enumerate(zip(self.frames, engine.windows, strict=True)):
            y, reference = scored.outputs[k], scored.references[k]
            if frame is None:
                continue
            if window is None:
                scored.outputs[k] = frame.cut(y, changes)
                continue
            differences = delta and effect_dtype(reference.dtype.name) == reference.dtype.name
            beside = no_effect(reference.shape, reference) if differences else reference
            beside = frame.cut_shared(beside, jobs.sequence, changes)
            scored.outputs[k] = frame.place(y, window.start[jobs.change], changes, beside)
            if delta and not differences:  # the dtype does not hold every difference: the loop returns values
                scored.outputs[k] = effect(scored.outputs[k], frame.cut_shared(reference, jobs.sequence, changes))
        return scored

    def _score_whole(
        self,
        engine: AnyEngine,
        block: list[Array],
        jobs: Jobs,
        delta: bool,
        changes: Changes,
        naive: Whole | None = None,
    ) -> Block:
        """Every job by the model itself; where nothing is replaced, the reference exactly, and no effect."""
        naive = naive or self._usual
        references = self._whole(naive, block)
        outputs = self._naive_rows(naive, engine.ranges, block, jobs)
        unchanged = self._unchanged_rows(engine, block[self.inputs.sequence], jobs)
        for k, reference in enumerate(references):
            outputs[k][unchanged] = reference[jobs.sequence[unchanged]]
            if delta:
                outputs[k] = effect(outputs[k], reference[jobs.sequence])
                outputs[k][unchanged] = 0
        return Block(self._framed(outputs, changes), np.ones(len(jobs), bool), references)

    def _unchanged_rows(self, engine: AnyEngine, x: Array, jobs: Jobs) -> Array:
        """Which jobs replace a sequence by itself: `[n]` bool."""
        unchanged = np.empty(len(jobs), bool)
        for rows in _slices(len(jobs)):
            part = jobs.take(rows)
            same = mutated(x, self.letters, engine.ranges, part) == x[part.sequence]
            unchanged[rows] = same.reshape(len(part), -1).all(axis=1)
        return unchanged

    def _naive_rows(self, naive: Whole, ranges: ChangeRanges, arrays: list[Array], jobs: Jobs) -> list[Array]:
        pieces = []
        for rows in _slices(len(jobs)):
            part = jobs.take(rows)
            inputs = [x[part.sequence] for x in arrays]
            inputs[self.inputs.sequence] = mutated(arrays[self.inputs.sequence], self.letters, ranges, part)
            pieces.append(self._whole(naive, inputs))
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]

    # Scans

    def scan_jobs(self, block: list[Array], table: Array, span: slice) -> Iterator[Placed]:
        """Replacements `table [b, R, w, C]` in the ranges of `span`; results are `[b, r, *out]`."""
        for engine, chosen, places in self._in_span(span):
            width = engine.ranges.max_width
            sequence, which = _pairs(len(block[0]), len(chosen))
            replacement = table[:, span][:, places, :width].reshape(-1, width, self.letters.columns)
            yield Placed(engine, Jobs(sequence, chosen[which], replacement), (sequence, places[which]))

    def saturate_jobs(self, block: list[Array], span: slice) -> Iterator[Placed]:
        """Every letter that is not there already, in the width-1 ranges of `span`; results are `[b, r, C, *out]`."""
        alone = self.letters.alone(self.inputs.types[self.inputs.sequence].dtype)
        current = self.letters.read(block[self.inputs.sequence])
        for engine, chosen, places in self._in_span(span):
            here = current[:, engine.ranges.lo[chosen]]
            differs = (here[:, :, None] != alone).any(-1)
            sequence, which, letter = (a.astype(np.int32) for a in np.nonzero(differs))
            yield Placed(
                engine, Jobs(sequence, chosen[which], alone[letter][:, None]), (sequence, places[which], letter)
            )

    def fill(
        self, block: list[Array], placed: Iterable[Placed], shape: tuple[int, ...], delta: bool, span: slice
    ) -> list[Array]:
        """Score jobs in the ranges of `span` into flat `[b, *shape, *out]`; where there is no job, nothing changes."""
        results: list[Array] | None = None
        for part in placed:
            scored = self.score(part.engine, block, part.jobs, delta)
            if part.fills((len(block[0]), *shape)):
                return [y.reshape(len(block[0]), *shape, *y.shape[1:]) for y in scored.outputs]
            if results is None:
                results = self._unchanged(scored.references, shape, delta, span)
            for result, y in zip(results, scored.outputs, strict=True):
                result[part.at] = y
        return results or []

    def _unchanged(self, references: list[Array], shape: tuple[int, ...], delta: bool, span: slice) -> list[Array]:
        """The results where nothing is replaced: the reference, or no effect."""
        batch, results = len(references[0]), []
        for reference, frame in zip(references, self.frames, strict=True):
            nothing = no_effect(reference.shape, reference) if delta else reference
            if frame is None:
                rows = nothing.reshape(batch, *[1] * len(shape), *nothing.shape[1:])
            else:  # its frame differs from range to range
                here = self.ranges.subset(np.arange(span.start, span.stop))
                sequence, which = _pairs(batch, here.count)
                seen = Changes(here.lo[which], here.hi[which], self.ranges.max_width)
                cut = frame.cut_shared(nothing, sequence, seen)
                rows = cut.reshape(batch, here.count, *[1] * (len(shape) - 1), *cut.shape[1:])
            results.append(np.broadcast_to(rows, (batch, *shape, *rows.shape[1 + len(shape) :])).copy())
        return results

    def fill_windows(self, block: list[Array], placed: Iterable[Placed], shape: tuple[int, ...]) -> list[SparseDeltas]:
        """The same for engines that return windows of deltas: what changes, and from where on."""
        results: list[SparseDeltas] | None = None
        for part in placed:
            scored = self.score(part.engine, block, part.jobs, delta=True)
            if results is None:
                results = self._no_deltas(len(block[0]), shape, scored)
            for k, (result, y) in enumerate(zip(results, scored.outputs, strict=True)):
                window = part.engine.windows[k]
                result.put(part.at, y, None if window is None else window.start[part.jobs.change])
        return results or []

    def _no_deltas(self, batch: int, shape: tuple[int, ...], scored: Block) -> list[SparseDeltas]:
        """Zeros, as wide as the widest engine needs them."""
        results = []
        for k, (y, reference) in enumerate(zip(scored.outputs, scored.references, strict=True)):
            windows = [w for e in self.engines if (w := e.windows[k]) is not None]
            out, axis, length = list(y.shape[1:]), None, None
            if windows:
                axis = windows[0].axis - 1
                out[axis], length = max(w.width for w in windows), reference.shape[1:][axis]
            results.append(SparseDeltas.zeros((batch, *shape), tuple(out), axis, length, y.dtype))
        return results

    def _in_span(self, span: slice) -> Iterator[tuple[AnyEngine, Array, Array]]:
        """Engines with ranges in `span`: the engine, their indices in the engine, and in the span."""
        for members, engine in zip(self.buckets, self.engines, strict=True):
            chosen = np.flatnonzero((members >= span.start) & (members < span.stop))
            if len(chosen):
                yield engine, chosen.astype(np.int32), members[chosen] - span.start

    # Single jobs, for variants and for verification

    def score_of_width(
        self, width: int, block: list[Array], jobs: Jobs, delta: bool, changes: Changes
    ) -> Iterator[tuple[Array, list[Array]]]:
        """Score jobs whose change range `i` is `[i, i + width)`: indices of jobs, and their flat results."""
        for engine, rows, change in _shared_out(self._shares_of_width(width), jobs.change):
            chosen = Jobs(jobs.sequence[rows], change, jobs.replacement[rows])
            there = Changes(changes.lo[rows], changes.hi[rows], changes.cover)
            yield rows, self.score(engine, block, chosen, delta, there).outputs

    def _shares_of_width(self, width: int) -> Sequence[Share]:
        """Engines for every position at one width."""
        with self._lock:
            if width not in self._of_width:
                length = self.inputs.types[self.inputs.sequence].extent(1)
                everywhere = ChangeRanges.everywhere(length, width)
                same = [(np.arange(everywhere.count), e) for e in self.engines if e.ranges.equals(everywhere)]
                self._of_width[width] = same or self._specialise(everywhere)
            return self._of_width[width]

    def halves(self, width: int, mutants: int) -> Halves | None:
        """A program in two parts for so many pairs of this width; None where there is none, or it does not pay."""
        (_, whole), *_ = self._shares_of_width(width)
        return self._halve(width, whole, mutants)

    def score_jobs(self, arrays: list[Array], jobs: Jobs) -> list[Array]:
        """Score `jobs` over the program's ranges, block by block: flat `[n, *out]`."""
        results: list[Array] | None = None
        shares = list(zip(self.buckets, self.engines, strict=True))
        for first in range(0, len(arrays[0]), self._batch_size):
            block = [x[first : first + self._batch_size] for x in arrays]
            own = np.flatnonzero((jobs.sequence >= first) & (jobs.sequence < first + len(block[0])))
            for engine, some, change in _shared_out(shares, jobs.change[own]):
                rows = own[some]
                replacement = jobs.replacement[rows][:, : engine.ranges.max_width]
                chosen = Jobs(jobs.sequence[rows] - np.int32(first), change, replacement)
                scored = self.score(engine, block, chosen, delta=False)
                if results is None:
                    results = [np.empty((len(jobs), *y.shape[1:]), y.dtype) for y in scored.outputs]
                for result, y in zip(results, scored.outputs, strict=True):
                    result[rows] = y
        return results or []

    def score_jobs_naively(self, arrays: list[Array], jobs: Jobs) -> list[Array]:
        """The same by the model itself."""
        return self._framed(self._naive_rows(self.naive, self.ranges, arrays, jobs), self._changes(jobs))

    def score_jobs_in_float64(self, arrays: list[Array], jobs: Jobs) -> list[Array]:
        """The same by the model in float64; an empty list if there is no such model."""
        exact = self.naive.in_float64()
        if exact is None:
            return []
        return self._framed(self._naive_rows(exact, self.ranges, arrays, jobs), self._changes(jobs))

    def _changes(self, jobs: Jobs) -> Changes:
        return Changes(self.ranges.lo[jobs.change], self.ranges.hi[jobs.change], self.ranges.max_width)


def _shared_out(shares: Sequence[Share], change: Array) -> Iterator[tuple[AnyEngine, Array, Array]]:
    """Engines with jobs of these ranges: the engine, the indices of its jobs, and of their ranges in the engine."""
    for members, engine in shares:
        place = np.full(max(members.max(), change.max(initial=0)) + 1, -1)
        place[members] = np.arange(len(members))
        rows = np.flatnonzero(place[change] >= 0)
        if len(rows):
            yield engine, rows, place[change[rows]].astype(np.int32)


def _slices(count: int) -> Iterator[Array]:
    """Row numbers in pieces, so that few whole mutants exist at once."""
    for begin in range(0, count, _MUTANTS):
        yield np.arange(begin, min(begin + _MUTANTS, count))


def _pairs(batch: int, ranges: int) -> tuple[Array, Array]:
    """Every (sequence, range) of a block."""
    sequence = np.repeat(np.arange(batch, dtype=np.int32), ranges)
    return sequence, np.tile(np.arange(ranges, dtype=np.int32), batch)
