"""`CompiledISM`: the program a user calls."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fastism_compiler.engine import Block, Engine, Scorer
from fastism_compiler.inputs import Array, InputSpec
from fastism_compiler.ir import ChangeRanges, Graph, to_text
from fastism_compiler.ir.errors import RangeError
from fastism_compiler.ir.types import FLOATS
from fastism_compiler.jobs import Jobs
from fastism_compiler.letters import Letters, Tokens
from fastism_compiler.naive import WholeScorer, mutated
from fastism_compiler.progress import track
from fastism_compiler.replacements import read_replacement
from fastism_compiler.selection import Packer
from fastism_compiler.variants import place_variants

if TYPE_CHECKING:
    from fastism_compiler.export.manifest import Manifest
    from fastism_compiler.plan import Plan
    from fastism_compiler.verification import VerificationReport


class CompiledISM:
    """A model compiled for in-silico mutagenesis. Made by `fastism_compiler.compile`.

    Results mirror the nest the model returns (array, list or dict), as numpy
    in the model's dtype. A program may be called from several threads.

    Attributes:
        rescored: rows so far whose result was not finite, or whose sequence
            had a non-finite reference, and which the model itself scored.
    """

    def __init__(
        self,
        *,
        inputs: InputSpec,
        selection: Packer,
        naive: WholeScorer,
        make_engine: Callable[[ChangeRanges], Scorer],
        buckets: Sequence[Array],
        ranges: ChangeRanges,
        letters: Letters,
        alphabet: str,
        batch_size: int,
        output_dtypes: Sequence[str],
        notes: Sequence[str] = (),
    ) -> None:
        self.inputs, self.selection, self.naive = inputs, selection, naive
        self.ranges, self.letters, self.alphabet = ranges, letters, alphabet
        self.batch_size, self.rescored = batch_size, 0
        self.notes = tuple(notes)
        self._make_engine, self.output_dtypes = make_engine, tuple(output_dtypes)
        self._buckets = [np.asarray(b) for b in buckets]
        self._engines = [make_engine(ranges.subset(b)) for b in self._buckets]
        self._by_width: dict[int, Scorer] = {}
        self._lock = threading.Lock()

    # Scoring

    def __call__(self, x: Any, replace_with: Any = 0, delta: bool = False) -> Any:
        """The model's outputs with each change range replaced.

        Args:
            x: the model's inputs, any number of sequences B from 1.
            replace_with: 0 (default), `[C]`, `[w, C]`, `[R, w, C]`,
                `[B, R, w, C]`, or a list of R arrays for unequal widths. For
                tokens: a token, `[w]`, `[R, w]`, `[B, R, w]`, or such a list.
            delta: return mutant - reference.

        Returns:
            `[B, R, *out]` in the nest of the model's outputs. Where the
            replacement equals the sequence, the reference output (effect 0).

        Raises:
            InputError: inputs of a wrong number, shape or content.
            ReplacementError: a replacement that fits no form.
        """
        arrays = self.inputs.read(x)
        table = self.read_replacement(replace_with, len(arrays[0]))
        blocks = [self._scan_block(b, table[i : i + len(b[0])], delta) for i, b in self._blocks(arrays)]
        return self._finish([np.concatenate(parts) for parts in zip(*blocks, strict=True)])

    def saturate(self, x: Any, delta: bool = False) -> Any:
        """The model's outputs for every letter at every width-1 range.

        Args:
            x: the model's inputs.
            delta: return mutant - reference; the letter already there scores 0.

        Returns:
            `[B, R, C, *out]`, letters in the order of `alphabet`.

        Raises:
            RangeError: the program was compiled for ranges of another width.
        """
        if (self.ranges.widths != 1).any():
            raise RangeError(
                "saturate substitutes single letters",
                expected="ranges of width 1",
                got=f"widths up to {self.ranges.max_width}",
            )
        arrays = self.inputs.read(x)
        blocks = [self._saturate_block(block, delta) for _, block in self._blocks(arrays)]
        return self._finish([np.concatenate(parts) for parts in zip(*blocks, strict=True)])

    def variants(self, x: Any, variants: Sequence[tuple[int, int, Any]], delta: bool = False) -> Any:
        """The model's outputs for listed substitutions, independent of `ranges`.

        Args:
            x: the model's inputs.
            variants: `(sequence, position, alt)`; position 0-based, `alt` a
                letter, a string over `alphabet`, a letter's index, or `[w, C]`.
            delta: return mutant - reference.

        Returns:
            `[N, *out]` in the order given.

        Raises:
            RangeError: a variant that overhangs its sequence.
            ReplacementError: an `alt` outside the alphabet.
            InputError: no variants, or a sequence that does not exist.
        """
        arrays = self.inputs.read(x)
        placed = place_variants(variants, arrays[self.inputs.sequence], self.letters, self.alphabet)
        for _, _, alternate in variants:
            if not isinstance(alternate, str | int | np.integer):
                self.inputs.check_tokens(np.asarray(alternate))
        results: list[Array] | None = None
        for first, block in self._blocks(arrays):
            for width, members in placed.by_width(first, first + len(block[0])):
                engine = self._engine_of_width(width)
                jobs = placed.jobs(members, first, width, block[self.inputs.sequence])
                scored = self._score(engine, block, jobs, delta)
                if results is None:
                    results = [np.zeros((len(variants), *y.shape[1:]), y.dtype) for y in scored.outputs]
                for result, y in zip(results, scored.outputs, strict=True):
                    result[members] = y
        return self._finish(results or [])

    def reference(self, x: Any) -> Any:
        """The model's (selected, reduced) outputs for the sequences themselves: `[B, *out]`."""
        arrays = self.inputs.read(x)
        return self._finish(self._references(arrays))

    def read_replacement(self, replace_with: Any, batch: int) -> Array:
        """Every form of `replace_with` as one table `[B, R, w, columns]` (see `__call__`).

        Raises:
            ReplacementError: a replacement that fits no form.
            InputError: a token that does not exist.
        """
        tokens = isinstance(self.letters, Tokens)
        table = read_replacement(replace_with, batch, self.ranges, self.letters.columns, self._dtype, tokens=tokens)
        for given in replace_with if isinstance(replace_with, list | tuple) else [replace_with]:
            self.inputs.check_tokens(np.asarray(given))  # before the cast, which rounded them
        return table

    # Inspection

    @property
    def graph(self) -> Graph:
        """The annotated graph; `print(program.graph)` is its canonical text."""
        return self.engines[0].graph

    @property
    def function(self) -> Any:
        """The traced `tf.function` of a scan of one full block."""
        engine = self.engines[0]
        spec = engine.spec(self.batch_size, 1, delta=False)
        return engine.program(spec)

    @property
    def plan(self) -> Plan:
        """What will run: layers, windows, kernels, arithmetic, memory. `str()` prints a table."""
        from fastism_compiler.plan import make_plan

        return make_plan(self)

    @property
    def engines(self) -> list[Engine]:
        """One engine per bucket of ranges."""
        return [e for e in self._engines if isinstance(e, Engine)]

    @property
    def buckets(self) -> list[Array]:
        """The range numbers that each engine serves."""
        return list(self._buckets)

    def verify(
        self,
        x: Any = None,
        replace_with: Any = 0,
        atol: float = 1e-6,
        rtol: float = 1e-5,
        ranges: int = 32,
    ) -> VerificationReport:
        """Compare with naive ISM on some of the ranges, edges included.

        Args:
            x: inputs (default: random one-hot).
            replace_with: as in a call.
            atol: absolute tolerance.
            rtol: tolerance relative to the largest output.
            ranges: how many change ranges to compare.

        Returns:
            The errors found, per output.

        Raises:
            VerificationError: an output differs by more than rounding.
        """
        from fastism_compiler.verification import verify_program

        return verify_program(self, x, replace_with, atol, rtol, ranges)

    def export(self, path: str | os.PathLike[str], format: str = "savedmodel", **options: Any) -> Manifest:
        """Write the program as an artifact that runs without this package.

        Args:
            path: a file or directory that does not exist yet; its folder does.
            format: `savedmodel` (a directory; runs with TensorFlow alone),
                `ism` (the same in one file, for `fastism_compiler.load`),
                `onnx` (a file; runs with ONNX Runtime), or `stablehlo` (a
                directory; runs with JAX).
            options: `overwrite=True` to replace an exported program; for
                `stablehlo` `batch_size=` (default 1); for `onnx` `function=`
                (`scan`, the default, `saturate` or `reference`), and
                `naive=True` for a loop over whole mutants, to compare with.

        Returns:
            What the artifact says about itself.

        Raises:
            ArtifactError: a target that exists or cannot be written.
            UnsupportedError: a layer that the format cannot express, by name.
            VerificationError: the artifact disagrees with the program (a bug; nothing is left behind).
            OptionError: no such format.
        """
        from fastism_compiler.export.write import export_program

        return export_program(self, Path(path), format, **options)

    def to_keras_layer(self) -> Any:
        """The program as a `keras.layers.Layer`: `layer(x, replacement=None)` scans, as tensors, with gradients.

        Use it inside a model or a training loop; see `export.keras_layer.ISMLayer`.
        """
        from fastism_compiler.export.keras_layer import ISMLayer

        return ISMLayer(self)

    def __repr__(self) -> str:
        return f"<CompiledISM of {self.graph.name!r}: {self.ranges.count} ranges>"

    def text(self) -> str:
        """The canonical text of the annotated graph."""
        return to_text(self.graph)

    # One block

    @property
    def _dtype(self) -> str:
        return self.inputs.types[self.inputs.sequence].dtype

    def _blocks(self, arrays: list[Array]) -> Iterator[tuple[int, list[Array]]]:
        count = len(arrays[0])
        for begin in track(range(0, count, self.batch_size), "sequences", per_step=self.batch_size):
            yield begin, [x[begin : begin + self.batch_size] for x in arrays]

    def _scan_block(self, block: list[Array], table: Array, delta: bool) -> list[Array]:
        """`[b, R, *out]` per output."""
        batch, results = len(block[0]), None
        for members, engine in zip(self._buckets, self._engines, strict=True):
            width = engine.ranges.max_width
            sequence, change = _pairs(batch, len(members))
            replacement = table[:, members, :width].reshape(-1, width, self.letters.columns)
            scored = self._score(engine, block, Jobs(sequence, change, replacement), delta)
            if results is None:
                shape = (batch, self.ranges.count)
                results = [np.empty((*shape, *y.shape[1:]), y.dtype) for y in scored.outputs]
            for result, y in zip(results, scored.outputs, strict=True):
                result[:, members] = y.reshape(batch, len(members), *y.shape[1:])
        return results or []

    def _saturate_block(self, block: list[Array], delta: bool) -> list[Array]:
        """`[b, R, C, *out]` per output: a job for every letter that is not there already."""
        alone = self.letters.alone(self._dtype)
        current = self.letters.read(block[self.inputs.sequence])
        results: list[Array] | None = None
        for members, engine in zip(self._buckets, self._engines, strict=True):
            here = current[:, engine.ranges.lo]
            differs = (here[:, :, None] != alone).any(-1)
            sequence, change, letter = (a.astype(np.int32) for a in np.nonzero(differs))
            replacement = alone[letter][:, None]
            scored = self._score(engine, block, Jobs(sequence, change, replacement), delta)
            if results is None:
                results = [
                    self._unchanged(y, (self.ranges.count, self.letters.count), delta) for y in scored.references
                ]
            for result, y in zip(results, scored.outputs, strict=True):
                result[sequence, members[change], letter] = y
        return results or []

    @staticmethod
    def _unchanged(reference: Array, shape: tuple[int, ...], delta: bool) -> Array:
        """The result where nothing is replaced: the reference, or no effect."""
        batch, out = len(reference), reference.shape[1:]
        if delta:
            return np.zeros((batch, *shape, *out), reference.dtype)
        return np.broadcast_to(reference.reshape(batch, *[1] * len(shape), *out), (batch, *shape, *out)).copy()

    def _score(self, engine: Scorer, block: list[Array], jobs: Jobs, delta: bool) -> Block:
        """Run the engine; let the model itself score what cannot be trusted, or all of it where that is faster."""
        if engine.naive:
            return self._score_whole(engine, block, jobs, delta)
        scored = engine.run(block, jobs, delta=delta)
        doubtful = np.flatnonzero(~scored.trusted)
        if len(doubtful):
            exact = self._score_whole(engine, block, _take(jobs, doubtful), delta)
            for y, better in zip(scored.outputs, exact.outputs, strict=True):
                y[doubtful] = better
            with self._lock:
                self.rescored += len(doubtful)
        return scored

    def _score_whole(self, engine: Scorer, block: list[Array], jobs: Jobs, delta: bool) -> Block:
        """Every job by the model itself; where nothing is replaced, the reference exactly, and no effect."""
        references = self._references(block)
        outputs = self._naive_rows(self.naive, engine.ranges, block, jobs)
        unchanged = self._unchanged_rows(engine, block[self.inputs.sequence], jobs)
        for scores, reference in zip(outputs, references, strict=True):
            scores[unchanged] = reference[jobs.sequence[unchanged]]
            if delta:
                scores -= reference[jobs.sequence]  # noqa: PLW2901 (in place)
                scores[unchanged] = 0
        return Block(outputs, np.ones(len(jobs), bool), references)

    def _references(self, arrays: list[Array]) -> list[Array]:
        return [y.numpy() for y in self.selection([_constant(y) for y in self.naive(arrays)])]

    def _unchanged_rows(self, engine: Scorer, x: Array, jobs: Jobs) -> Array:
        """Which jobs replace a sequence by itself: `[n]` bool."""
        unchanged = np.empty(len(jobs), bool)
        for rows in _slices(len(jobs)):
            part = _take(jobs, rows)
            same = mutated(x, self.letters, engine.ranges, part) == x[part.sequence]
            unchanged[rows] = same.reshape(len(part), -1).all(axis=1)
        return unchanged

    def score_jobs(self, arrays: list[Array], jobs: Jobs) -> list[Array]:
        """Score `jobs` over the program's ranges, block by block: flat `[n, *out]`."""
        results: list[Array] | None = None
        bucket_of, place = np.empty((2, self.ranges.count), dtype=np.int64)
        for number, members in enumerate(self._buckets):
            bucket_of[members], place[members] = number, np.arange(len(members))
        for first, block in self._blocks(arrays):
            here = (jobs.sequence >= first) & (jobs.sequence < first + len(block[0]))
            for number, engine in enumerate(self._engines):
                rows = np.flatnonzero(here & (bucket_of[jobs.change] == number))
                if not len(rows):
                    continue
                change = place[jobs.change[rows]].astype(np.int32)
                replacement = jobs.replacement[rows][:, : engine.ranges.max_width]
                chosen = Jobs(jobs.sequence[rows] - np.int32(first), change, replacement)
                scored = self._score(engine, block, chosen, delta=False)
                if results is None:
                    results = [np.empty((len(jobs), *y.shape[1:]), y.dtype) for y in scored.outputs]
                for result, y in zip(results, scored.outputs, strict=True):
                    result[rows] = y
        return results or []

    def score_jobs_naively(self, arrays: list[Array], jobs: Jobs) -> list[Array]:
        """The same by the model itself."""
        return self._naive_rows(self.naive, self.ranges, arrays, jobs)

    def score_jobs_in_float64(self, arrays: list[Array], jobs: Jobs) -> list[Array]:
        """The same by a float64 clone of the model."""
        return self._naive_rows(self.naive.in_float64(), self.ranges, arrays, jobs)

    def _naive_rows(self, naive: WholeScorer, ranges: ChangeRanges, arrays: list[Array], jobs: Jobs) -> list[Array]:
        pieces = []
        for rows in _slices(len(jobs)):
            part = _take(jobs, rows)
            inputs = [x[part.sequence] for x in arrays]
            inputs[self.inputs.sequence] = mutated(arrays[self.inputs.sequence], self.letters, ranges, part)
            pieces.append([y.numpy() for y in self.selection([_constant(y) for y in naive(inputs)])])
        return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]

    def _engine_of_width(self, width: int) -> Scorer:
        """An engine for every position at one width."""
        with self._lock:
            if width not in self._by_width:
                length = self.inputs.types[self.inputs.sequence].extent(1)
                lo = np.arange(length - width + 1, dtype=np.int64)
                everywhere = ChangeRanges(lo, lo + width)
                same = [e for e in self._engines if e.ranges.equals(everywhere)]
                self._by_width[width] = same[0] if same else self._make_engine(everywhere)
            return self._by_width[width]

    def _finish(self, flat: list[Any]) -> Any:
        arrays = [np.asarray(y) for y in flat]
        if len(arrays) == len(self.output_dtypes):
            narrow = [d if d in FLOATS[:2] else y.dtype for y, d in zip(arrays, self.output_dtypes, strict=True)]
            arrays = [y.astype(d, copy=False) for y, d in zip(arrays, narrow, strict=True)]
        return self.selection.pack(arrays)


def _slices(count: int) -> Iterator[Array]:
    """Row numbers in pieces, so that few whole mutants exist at once."""
    for begin in range(0, count, _MUTANTS):
        yield np.arange(begin, min(begin + _MUTANTS, count))


_MUTANTS = 512


def _pairs(batch: int, ranges: int) -> tuple[Array, Array]:
    """Every (sequence, range) of a block."""
    sequence = np.repeat(np.arange(batch, dtype=np.int32), ranges)
    return sequence, np.tile(np.arange(ranges, dtype=np.int32), batch)


def _take(jobs: Jobs, rows: Array) -> Jobs:
    return Jobs(jobs.sequence[rows], jobs.change[rows], jobs.replacement[rows])


def _constant(x: Array) -> Any:
    import tensorflow as tf

    return tf.constant(x)
