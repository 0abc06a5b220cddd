"""`FastISM` and `NaiveISM`: the names, signatures and results of fastISM 0.5.1, on Keras 3."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastism_compiler.arguments import number, whole
from fastism_compiler.compiler import compile as compile_model
from fastism_compiler.errors import VerificationError
from fastism_compiler.frontend.registry import describe_model
from fastism_compiler.frontend.source import ReadOptions
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.replacements import read_replacement
from fastism_compiler.runtime.verification import random_inputs

_ROWS = 64
"""Mutants per call of the model."""


class NaiveISM:
    """In-silico mutagenesis by running the model on every mutated batch: the oracle.

    Args:
        model: a functional or Sequential Keras 3 model.
        seq_input_idx: which of `model.inputs` is mutated.
        change_ranges: half-open `(start, end)`; None: every position.

    Raises:
        RangeError, InputError, ModelError: as `fastism_compiler.compile`.
    """

    def __init__(
        self, model: Any, seq_input_idx: int = 0, change_ranges: Sequence[tuple[int, int]] | None = None
    ) -> None:
        source = describe_model(model, ReadOptions(seq_input=seq_input_idx))
        self._spec, self._model = source.inputs, source.origin.oracle(_ROWS)
        self.seq_input_idx = self._spec.sequence
        length = self._spec.types[self.seq_input_idx].extent(1)
        self._ranges = ChangeRanges.of(change_ranges, length)
        self.change_ranges = list(zip(self._ranges.lo.tolist(), self._ranges.hi.tolist(), strict=True))

    def __call__(self, inp_batch: Any, replace_with: Any = 0) -> Any:
        """Score every range of every sequence.

        Args:
            inp_batch: the model's inputs, B sequences.
            replace_with: 0, `[C]`, `[w, C]`, `[R, w, C]`, `[B, R, w, C]` or a list of R arrays.

        Returns:
            `[B, R, *out]`, or a list of them in `model.outputs` order.

        Raises:
            InputError, InputTypeError, ReplacementError: as a call of a program.
        """
        arrays = self._spec.read(inp_batch)
        x = arrays[self.seq_input_idx]
        tokens = x.ndim == 2
        columns = 1 if tokens else x.shape[2]
        table = read_replacement(replace_with, len(x), self._ranges, columns, x.dtype.name, tokens=tokens)
        table = table[..., 0] if tokens else table
        scores = [self._mutate(arrays, table, r) for r in range(self._ranges.count)]
        stacked = [np.stack(parts, axis=1) for parts in zip(*scores, strict=True)]
        return stacked[0] if len(stacked) == 1 else stacked

    def _mutate(self, arrays: list[Array], table: Array, r: int) -> list[Array]:
        lo, hi = self.change_ranges[r]
        mutated = list(arrays)
        mutated[self.seq_input_idx] = arrays[self.seq_input_idx].copy()
        mutated[self.seq_input_idx][:, lo:hi] = table[:, r, : hi - lo]
        return self._model(mutated)

    def time_batch(self, seq_batch: Any) -> float:
        """Wall time of one call, in seconds."""
        return _time(self, seq_batch)

    def cleanup(self) -> None:
        """Nothing is held between calls; kept for fastISM's interface."""


class FastISM:
    """Drop-in for `fastism.FastISM`: compiled, exact, for any Keras 3 model.

    Args:
        model: a functional or Sequential Keras 3 model.
        seq_input_idx: which of `model.inputs` is mutated.
        change_ranges: half-open `(start, end)` of any widths; None: every position.
        early_stop_layers: layer name(s) from which on everything is recomputed.
        test_correctness: compare with naive ISM now, and raise if they differ.

    Raises:
        VerificationError: the correctness test failed.
        RangeError, InputError, LayerNameError, ModelError, UnsupportedError: as
            `fastism_compiler.compile`.
    """

    def __init__(
        self,
        model: Any,
        seq_input_idx: int = 0,
        change_ranges: Sequence[tuple[int, int]] | None = None,
        early_stop_layers: str | Sequence[str] | None = None,
        test_correctness: bool = True,
    ) -> None:
        self.program = compile_model(
            model, seq_input=seq_input_idx, ranges=change_ranges, stop_at=early_stop_layers, verify=False
        )
        ranges = self.program.ranges
        self.change_ranges = list(zip(ranges.lo.tolist(), ranges.hi.tolist(), strict=True))
        self._naive = NaiveISM(model, seq_input_idx, change_ranges)
        if test_correctness and not self.test_correctness():
            raise VerificationError(
                "fast and naive ISM differ",
                expected="agreement within atol=1e-6, rtol=1e-5",
                got="a larger difference; FastISM(...).program.verify() reports it",
            )

    def __call__(self, inp_batch: Any, replace_with: Any = 0) -> Any:
        """Score every range of every sequence; results as `NaiveISM`."""
        flat = self.program.selection.unpack(self.program(inp_batch, replace_with))
        return flat[0] if len(flat) == 1 else flat

    def test_correctness(self, batch_size: int = 10, replace_with: Any = 0, atol: float = 1e-6) -> bool:
        """Compare all ranges of random one-hot sequences with naive ISM.

        Args:
            batch_size: how many sequences.
            replace_with: as in a call.
            atol: absolute tolerance of `np.isclose` (with its default rtol, 1e-5).

        Returns:
            Whether every output agrees. Where float32 rounding alone exceeds
            the tolerance, a float64 clone decides (see `verify`).
        """
        atol = number("atol", atol, 0)
        arrays = random_inputs(self.program, whole("batch_size", batch_size, 1))
        batch = self.program.inputs.pack(arrays)
        ours, naive = self(batch, replace_with), self._naive(batch, replace_with)
        pairs = zip(ours, naive, strict=True) if isinstance(ours, list) else [(ours, naive)]
        close = all(np.isclose(a, b, atol=atol, equal_nan=True).all() for a, b in pairs)
        if close:
            return True
        try:
            every = self.program.ranges.count
            return bool(self.program.verify(batch, replace_with, atol=atol, ranges=every))
        except VerificationError:
            return False

    def time_batch(self, seq_batch: Any) -> float:
        """Wall time of one call, in seconds."""
        return _time(self, seq_batch)

    def cleanup(self) -> None:
        """Nothing is held between calls; kept for fastISM's interface."""


def _time(call: Any, seq_batch: Any) -> float:
    started = time.perf_counter()
    call(seq_batch)
    return time.perf_counter() - started
