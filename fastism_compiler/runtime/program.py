"""`Program`: what every program does, one that was just compiled or one that comes from an artifact."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from fastism_compiler.arguments import flag
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.frontend.selection import Packer
from fastism_compiler.host.process import check_process
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.errors import OptionError, RangeError
from fastism_compiler.ir.types import FLOATS
from fastism_compiler.mutations.inputs import Array, InputSpec
from fastism_compiler.mutations.letters import Letters, Tokens
from fastism_compiler.mutations.pairs import read_positions
from fastism_compiler.mutations.replacements import read_replacement
from fastism_compiler.mutations.spelling import spelt
from fastism_compiler.mutations.variants import place_variants
from fastism_compiler.planning.memory import check_result_fits
from fastism_compiler.results.blocks import ScoreBlock, SparseDeltas
from fastism_compiler.results.pairs import PairEffects
from fastism_compiler.runtime.naive import WholeScorer
from fastism_compiler.runtime.pairs import score_pairs
from fastism_compiler.runtime.progress import track
from fastism_compiler.runtime.scoring import Scorer
from fastism_compiler.runtime.verification import VerificationReport, verify_program


class Program:
    """Scores mutations of the sequences that a model takes.

    Results mirror the nest the model returns (array, list or dict), as numpy
    in the model's dtype. A program may be called from several threads.

    Args:
        name: of the model.
        scorer_for: makes what scores one block of sequences, for whole results (False) or windows of deltas (True).
        alphabet: the letters, in the order of the results.
        batch_size: most sequences per block.
        most_rows: rows whose results may exist at once on the device.
        precision: how products of differences and weights are rounded.
        output_dtypes: flat; empty where results keep the dtypes they are computed in.
        notes: what users should know about this model.

    Attributes:
        scorer: what it does with one block of sequences.
        name, alphabet, batch_size, precision, output_dtypes, notes: as given.
    """

    def __init__(
        self,
        *,
        name: str,
        scorer_for: Callable[[bool], Scorer],
        alphabet: str,
        batch_size: int,
        most_rows: int,
        precision: str,
        output_dtypes: Sequence[str],
        notes: Sequence[str] = (),
    ) -> None:
        self.scorer = scorer_for(False)
        self.name, self.alphabet, self.batch_size, self.precision = name, alphabet, batch_size, precision
        self.notes, self.output_dtypes = tuple(notes), tuple(output_dtypes)
        self._scorer_for, self._most_rows = scorer_for, most_rows
        self._sparse: Scorer | None = None
        self._lock = threading.Lock()

    # Scoring

    def __call__(self, x: Any, replace_with: Any = 0, delta: bool = False, sparse: bool = False) -> Any:
        """The model's outputs with each change range replaced.

        Args:
            x: the model's inputs, any number of sequences B from 1.
            replace_with: 0 (default), `[C]`, `[w, C]`, `[R, w, C]`,
                `[B, R, w, C]`, or a list of R arrays for unequal widths. For
                tokens: a token, `[w]`, `[R, w]`, `[B, R, w]`, or such a list.
            delta: return mutant - reference.
            sparse: return `SparseDeltas`: for outputs with positions, only
                those that a range can change, and where they begin.

        Returns:
            `[B, R, *out]` in the nest of the model's outputs. Where the
            replacement equals the sequence, the reference output (effect 0).

        Raises:
            InputError, InputTypeError: inputs of a wrong number, shape, content or dtype.
            ReplacementError: a replacement that fits no form.
            OptionError: `sparse` with a list, integer or `fc.around` in `outputs=`, or non-Keras code in `reduce=`.
            MemoryBudgetError: a result that does not fit into free memory.
        """
        delta, sparse = flag("delta", delta), flag("sparse", sparse)
        arrays = self._read(x)
        table = self.read_replacement(replace_with, len(arrays[0]))
        self._check_fits(len(arrays[0]), sparse)
        return self._join(self._scored(arrays, table, delta, sparse, self.ranges.count), sparse)

    def saturate(self, x: Any, delta: bool = False, sparse: bool = False) -> Any:
        """The model's outputs for every letter at every width-1 range.

        Args:
            x: the model's inputs.
            delta: return mutant - reference; the letter already there scores 0.
            sparse: return `SparseDeltas`, as in a call.

        Returns:
            `[B, R, C, *out]`, letters in the order of `alphabet`.

        Raises:
            RangeError: the program was compiled for ranges of another width.
            InputError, InputTypeError, OptionError, MemoryBudgetError: as in a call.
        """
        delta, sparse = flag("delta", delta), flag("sparse", sparse)
        self._check_single_letters()
        arrays = self._read(x)
        self._check_fits(len(arrays[0]) * self.letters.count, sparse)
        return self._join(self._scored(arrays, None, delta, sparse, self.ranges.count), sparse)

    def stream(
        self, x: Any, replace_with: Any = 0, delta: bool = False, *, saturate: bool = False, sparse: bool = False
    ) -> Iterator[ScoreBlock]:
        """The same scores block by block, so that `[B, R, C, *out]` never exists at once.

        Blocks hold up to `batch_size` sequences, and as many ranges as their
        share of the memory budget allows.

        Args:
            x: the model's inputs.
            replace_with: as in a call; ignored if `saturate`.
            delta: return mutant - reference.
            saturate: every letter at every range, as in `saturate`.
            sparse: as in a call.

        Yields:
            Blocks, sequences first, ranges in order.

        Raises:
            InputError, ReplacementError, RangeError, OptionError: as in a call, before the first block.
        """
        delta, saturate, sparse = flag("delta", delta), flag("saturate", saturate), flag("sparse", sparse)
        if saturate:
            self._check_single_letters()
        arrays = self._read(x)
        table = None if saturate else self.read_replacement(replace_with, len(arrays[0]))
        self._scorer(sparse)
        per_range = self.batch_size * (self.letters.count if saturate else 1)
        blocks = self._scored(arrays, table, delta, sparse, max(self._most_rows // per_range, 1))
        return (ScoreBlock(rows, span, self._finish(flat)) for rows, span, flat in blocks)

    def variants(self, x: Any, variants: Sequence[tuple[int, int, Any]], delta: bool = False) -> Any:
        """The model's outputs for listed substitutions, independent of `ranges`.

        Args:
            x: the model's inputs.
            variants: `(sequence, position, alt)`; position 0-based, `alt` a
                letter, a text over `alphabet` (in either case; `N` is all zeros),
                a letter's index, or `[w, C]`.
            delta: return mutant - reference.

        Returns:
            `[N, *out]` in the order given.

        Raises:
            RangeError: a variant that overhangs its sequence.
            ReplacementError: an `alt` outside the alphabet.
            InputError: no variants, or a sequence that does not exist.
        """
        delta = flag("delta", delta)
        arrays = self._read(x)
        placed = place_variants(variants, arrays[self.inputs.sequence], self.letters, self.alphabet)
        for _, _, alternate in variants:
            if not isinstance(alternate, str | int | np.integer):
                self.inputs.check_tokens(np.asarray(alternate))
        results: list[Array] | None = None
        for first, block in self._blocks(arrays):
            for width, members in placed.by_width(first, first + len(block[0])):
                jobs = placed.jobs(members, first, width, block[self.inputs.sequence])
                changes = placed.changes(members)
                for rows, outputs in self.scorer.score_of_width(width, block, jobs, delta, changes):
                    if results is None:
                        results = [np.zeros((len(variants), *y.shape[1:]), y.dtype) for y in outputs]
                    for result, y in zip(results, outputs, strict=True):
                        result[members[rows]] = y
        return self._finish(results or [])

    def pairs(self, x: Any, positions: Sequence[int] | None = None, within: int | None = None) -> PairEffects:
        """Effects of two substitutions together, and what of them is more than each alone; independent of `ranges`.

        A pair is scored in the window of both positions and what lies between
        them: near pairs cost little more than single substitutions, pairs as
        far apart as the sequence is long cost as much as the model itself.
        Where many pairs are so far apart that their windows meet late, each
        substitution runs once, alone, in front of that (see `planning.necks`).

        Args:
            x: the model's inputs.
            positions: all pairs of these positions (default: of every position).
            within: only pairs at most so many positions apart.

        Returns:
            The effects of every letter at both positions of every pair; `[B, N, C, C, *out]`.

        Raises:
            OptionError: positions named twice, or no pair.
            RangeError: a position outside the sequence.
            UnsupportedError: outputs that `fc.around` picks.
            InputError, InputTypeError, MemoryBudgetError: as in a call.
        """
        if any(frame is not None for frame in self.selection.frames):
            raise UnsupportedError("pairs return whole outputs", expected="outputs= without fc.around")
        arrays = self._read(x)
        sequences = arrays[self.inputs.sequence]
        chosen = read_positions(positions, within, sequences.shape[1])
        # the effects of all pairs and what is more in them, and while they are joined the blocks that they come from
        copies = 2 if len(sequences) <= self.batch_size else 4
        check_result_fits(
            self.selection,
            copies * len(sequences) * len(chosen) * self.letters.count**2,
            "fewer sequences or positions, a smaller within=, outputs= or reduce= make it smaller",
        )
        blocks = [score_pairs(self.scorer, block, chosen, len(sequences)) for _, block in self._blocks(arrays)]
        single, joint, interaction = (self._joined([block[k] for block in blocks]) for k in range(3))
        return PairEffects(chosen, joint, single, np.unique(chosen), interaction)

    def reference(self, x: Any) -> Any:
        """The model's (selected, reduced) outputs for the sequences themselves: `[B, *out]`."""
        arrays = self._read(x)
        return self._finish(self.scorer.references(arrays))

    def read_replacement(self, replace_with: Any, batch: int) -> Array:
        """Every form of `replace_with` as one table `[B, R, w, columns]` (see `__call__`).

        Raises:
            ReplacementError: a replacement that fits no form.
            InputError: a token that does not exist.
        """
        tokens = isinstance(self.letters, Tokens)
        dtype = self.inputs.types[self.inputs.sequence].dtype
        table = read_replacement(replace_with, batch, self.ranges, self.letters.columns, dtype, tokens=tokens)
        for given in replace_with if isinstance(replace_with, list | tuple) else [replace_with]:
            self.inputs.check_tokens(np.asarray(given))  # before the cast, which rounded them
        return table

    # Inspection

    @property
    def inputs(self) -> InputSpec:
        """What the model takes."""
        return self.scorer.inputs

    @property
    def ranges(self) -> ChangeRanges:
        """The change ranges, in the order of the results."""
        return self.scorer.ranges

    @property
    def letters(self) -> Letters:
        """What replacements are given for."""
        return self.scorer.letters

    @property
    def selection(self) -> Packer:
        """Which outputs are returned, and their nest."""
        return self.scorer.selection

    @property
    def naive(self) -> WholeScorer:
        """The model itself, on whole sequences."""
        return self.scorer.naive

    @property
    def rescored(self) -> int:
        """Rows so far that the model itself scored, as they or their reference could not be trusted."""
        return self.scorer.rescored + (self._sparse.rescored if self._sparse else 0)

    @property
    def buckets(self) -> list[Array]:
        """The range numbers that each engine serves."""
        return list(self.scorer.buckets)

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
            x: inputs (default: two random sequences).
            replace_with: as in a call.
            atol: absolute tolerance.
            rtol: tolerance relative to the largest output.
            ranges: how many change ranges to compare.

        Returns:
            The errors found, per output.

        Raises:
            OptionError: no range to compare.
            VerificationError: an output differs by more than rounding.
        """
        self._get_ready()
        return verify_program(self, x, replace_with, atol, rtol, ranges)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.name!r}: {self.ranges.count} ranges>"

    def __reduce__(self) -> Any:
        raise UnsupportedError(
            "a compiled program is not pickled or copied; export it, and load it where it is needed",
            expected='program.export("program.ism", "ism"), then fastism_compiler.load("program.ism")',
            got=repr(self),
        )

    def _read(self, x: Any) -> list[Array]:
        """The flat inputs, checked.

        Raises:
            InputError, InputTypeError: see `InputSpec.read`.
        """
        self._get_ready()
        return self.read_inputs(x)

    def read_inputs(self, x: Any) -> list[Array]:
        """The model's inputs as flat arrays, checked; texts are spelt in the alphabet.

        Raises:
            InputError, InputTypeError: see `InputSpec.read`.
        """
        return self.inputs.read(spelt(x, self.inputs, self.letters, self.alphabet))

    def _get_ready(self) -> None:
        """Check the process, and follow the model, before anything is computed.

        Raises:
            UnsupportedError: a forked child of the process that compiled, where TensorFlow hangs.
        """
        check_process()
        self.refresh()

    def refresh(self) -> None:
        """Follow changes of the model that its variables do not show, where there is a model."""

    # Blocks

    def _blocks(self, arrays: list[Array]) -> Iterator[tuple[int, list[Array]]]:
        count = len(arrays[0])
        for begin in track(range(0, count, self.batch_size), "sequences", per_step=self.batch_size):
            yield begin, [x[begin : begin + self.batch_size] for x in arrays]

    def _scored(
        self, arrays: list[Array], table: Array | None, delta: bool, sparse: bool, most_ranges: int
    ) -> Iterator[tuple[slice, slice, list[Any]]]:
        """Sequences, ranges and flat results of every block; no table: all letters."""
        scorer, count = self._scorer(sparse), self.ranges.count
        letters = () if table is not None else (self.letters.count,)
        for first, block in self._blocks(arrays):
            rows = slice(first, first + len(block[0]))
            for begin in range(0, count, most_ranges):
                span = slice(begin, min(begin + most_ranges, count))
                if table is None:
                    placed = scorer.saturate_jobs(block, span)
                else:
                    placed = scorer.scan_jobs(block, table[rows], span)
                shape = (span.stop - span.start, *letters)
                if sparse:
                    yield rows, span, scorer.fill_windows(block, placed, shape)
                else:
                    yield rows, span, scorer.fill(block, placed, shape, delta, span)

    def _scorer(self, sparse: bool) -> Scorer:
        if not sparse:
            return self.scorer
        if any(frame is not None for frame in self.selection.frames):
            raise OptionError("fc.around picks windows already", expected="sparse=False", got="sparse=True")
        with self._lock:
            self._sparse = self._sparse or self._scorer_for(True)
            return self._sparse

    def _check_fits(self, scans: int, sparse: bool) -> None:
        if not sparse:
            check_result_fits(self.scorer.selection, scans * self.ranges.count)

    def _check_single_letters(self) -> None:
        if (self.ranges.widths != 1).any():
            raise RangeError(
                "saturate substitutes single letters",
                expected="ranges of width 1",
                got=f"widths up to {self.ranges.max_width}",
            )

    def _join(self, blocks: Iterator[tuple[slice, slice, list[Any]]], sparse: bool) -> Any:
        """Blocks of all ranges, one after the other."""
        join = SparseDeltas.concatenate if sparse else np.concatenate
        return self._joined([flat for *_, flat in blocks], join)

    def _joined(self, blocks: Sequence[list[Any]], join: Callable[[Any], Any] = np.concatenate) -> Any:
        """Flat results of blocks, one after the other, in the nest of the outputs."""
        outputs = list(zip(*blocks, strict=True))
        return self._finish([parts[0] if len(parts) == 1 else join(parts) for parts in outputs])

    def _finish(self, flat: list[Any]) -> Any:
        if len(flat) == len(self.output_dtypes):
            narrow = [d if d in FLOATS[:2] else y.dtype for y, d in zip(flat, self.output_dtypes, strict=True)]
            flat = [y.astype(d, copy=False) for y, d in zip(flat, narrow, strict=True)]
        return self.scorer.selection.pack(flat)
