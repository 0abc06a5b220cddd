"""Results in pieces: blocks of a stream, and windows of the positions that a mutation can change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastism_compiler.mutations.inputs import Array


@dataclass(frozen=True, slots=True)
class SparseDeltas:
    """Effects on one output: 0 everywhere but in a window of positions.

    Attributes:
        deltas: mutant - reference, `[B, R, *out]` (`saturate`: `[B, R, C, *out]`)
            with `width` positions on `axis` instead of all of them.
        starts: `[R]` int32, the position of each range's first delta; all 0 where `axis` is None.
        axis: the axis of `deltas` that holds positions; None where the
            output has none, or everything may change: `deltas` are whole then.
        length: positions of the whole output on that axis.
    """

    deltas: Array
    starts: Array
    axis: int | None
    length: int | None

    @staticmethod
    def zeros(
        lead: tuple[int, ...], out: tuple[int, ...], axis: int | None, length: int | None, dtype: np.dtype[Any]
    ) -> SparseDeltas:
        """No effects: `lead` is `[B, R]` or `[B, R, C]`, `out` one result, `axis` one of its axes."""
        whole = None if axis is None else len(lead) + axis
        return SparseDeltas(np.zeros((*lead, *out), dtype), np.zeros(lead[1], np.int32), whole, length)

    @staticmethod
    def concatenate(parts: Sequence[SparseDeltas]) -> SparseDeltas:
        """The effects on several blocks of sequences, over the same ranges."""
        return replace(parts[0], deltas=np.concatenate([p.deltas for p in parts]))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the deltas."""
        return self.deltas.dtype

    def astype(self, dtype: Any, copy: bool = True) -> SparseDeltas:
        """The same in another dtype."""
        return replace(self, deltas=self.deltas.astype(dtype, copy=copy))

    def put(self, at: tuple[Array, ...], deltas: Array, start: Array | None) -> None:
        """Write the windows of some jobs, which begin at `start [n]`, into their cells `at`."""
        if self.axis is None or self.length is None or start is None:
            self.deltas[at] = deltas
            return
        lead = len(at)
        width, own = self.deltas.shape[self.axis], deltas.shape[self.axis - lead + 1]
        begin = np.minimum(start, self.length - width)
        self.starts[at[1]] = begin
        rows, cells = np.moveaxis(deltas, self.axis - lead + 1, 1), np.moveaxis(self.deltas, self.axis, lead)
        for shift in np.unique(start - begin):
            some = np.flatnonzero(start - begin == shift)
            place: tuple[Any, ...] = (*[a[some] for a in at], slice(shift, shift + own))
            cells[place] = rows[some]

    def dense(self) -> Array:
        """The same with every position: zeros outside the windows."""
        if self.axis is None or self.length is None:
            return self.deltas
        rows = np.moveaxis(self.deltas, self.axis, 2)
        whole = np.zeros((*rows.shape[:2], self.length, *rows.shape[3:]), rows.dtype)
        for number, start in enumerate(self.starts):
            whole[:, number, start : start + rows.shape[2]] = rows[:, number]
        return np.moveaxis(whole, 2, self.axis)


@dataclass(frozen=True, slots=True)
class ScoreBlock:
    """One block of a stream.

    Attributes:
        sequences: which sequences.
        ranges: which change ranges.
        scores: their results, in the nest of the model's outputs: `[b, r, *out]`
            (`saturate`: `[b, r, C, *out]`), or `SparseDeltas`.
    """

    sequences: slice
    ranges: slice
    scores: Any


@dataclass(frozen=True, slots=True)
class OutputWindow:
    """Where an engine's rows hold one output's changes.

    Attributes:
        axis: the axis of `[n, *out]` that holds positions.
        start: first position of each of the engine's ranges.
        width: positions per row.
    """

    axis: int
    start: Array
    width: int

    def cut(self, whole: Array, change: Array) -> Array:
        """The windows of whole rows `[n, *out]` whose ranges are `change [n]`."""
        rows = np.moveaxis(whole, self.axis, 1)
        positions = self.start[change][:, None] + np.arange(self.width)
        return np.moveaxis(rows[np.arange(len(rows))[:, None], positions], 1, self.axis)


def window_of(windows: Sequence[OutputWindow | None], output: int) -> OutputWindow | None:
    """The window of a result; None beyond the graph's outputs, as results of a reduction are whole."""
    return windows[output] if output < len(windows) else None
