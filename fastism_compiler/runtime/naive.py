"""Naive ISM: whole mutated sequences, scored by the model itself. The oracle, and the last resort."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from fastism_compiler.ir import ChangeRanges
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.letters import Letters
from fastism_compiler.runtime.out_of_memory import out_of_memory_told
from fastism_compiler.runtime.progress import track


class WholeScorer(Protocol):
    """Scores whole sequences.

    Attributes:
        rows: sequences per call.
    """

    rows: int

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Flat outputs `[n, *out]` for flat inputs `[n, ...]`."""

    def step_by_step(self, inputs: Sequence[Array]) -> list[Array]:
        """The same, one operation after the other where the framework can: graph optimisers drop some NaN."""

    def in_float64(self) -> WholeScorer | None:
        """The same model in float64, the exact oracle; None where there is none."""


def in_batches(
    score: Callable[[list[Array]], Sequence[Any]], inputs: Sequence[Array], rows: int, *, pad: bool = True
) -> list[Array]:
    """Flat outputs `[n, *out]` of `score`, called with `rows` sequences each time.

    Args:
        score: flat outputs for flat inputs.
        inputs: flat, `[n, ...]` each.
        rows: most sequences of a call.
        pad: fill the last call up to a power of two, repeating its last sequence, so that few sizes are compiled.

    Raises:
        MemoryBudgetError: the device has too little memory left.
    """
    count = len(inputs[0])
    pieces = []
    for begin in track(range(0, count, rows), "whole sequences", per_step=rows):
        here = min(rows, count - begin)
        size = min(rows, 1 << (here - 1).bit_length()) if pad else here
        block = [_padded(x[begin : begin + rows], size) for x in inputs]
        with out_of_memory_told():
            pieces.append([np.asarray(y)[:here] for y in score(block)])
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


def _padded(x: Array, rows: int) -> Array:
    missing = rows - len(x)
    return np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing else x


def mutated(x: Array, letters: Letters, ranges: ChangeRanges, jobs: Any) -> Array:
    """The mutated sequences `[n, L, ...]` that `jobs` stand for."""
    rows = x[jobs.sequence].copy()
    for i, (change, replacement) in enumerate(zip(jobs.change, jobs.replacement, strict=True)):
        lo, hi = int(ranges.lo[change]), int(ranges.hi[change])
        letters.write(rows[i, lo:hi], replacement[: hi - lo])
    return rows
