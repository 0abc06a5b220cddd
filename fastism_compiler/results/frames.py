"""Frames: the positions of an output around each change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastism_compiler.ir import ChangeRanges, Node
from fastism_compiler.ir.ranges import around
from fastism_compiler.mutations.inputs import Array


@dataclass(frozen=True, slots=True)
class Changes:
    """Where some mutations lie, in letters of the sequence.

    Attributes:
        lo: `[n]` first letter of each.
        hi: `[n]` one past the last letter of each.
        cover: letters of the widest mutation in the same result.
    """

    lo: Array
    hi: Array
    cover: int


@dataclass(frozen=True, slots=True)
class Frame:
    """Which positions of an output a frame holds (see `frontend.around`).

    Attributes:
        reach: positions on either side of a change.
        stride: letters per position.
        offset: letters in front of position 0.
        length: positions of the output.
    """

    reach: int
    stride: int
    offset: int
    length: int

    @staticmethod
    def of(node: Node) -> Frame:
        """The frame of an output of a narrowed graph."""
        reach, stride, offset = (int(node.attrs[name]) for name in ("reach", "stride", "offset"))
        return Frame(reach, stride, offset, node.type.extent(1))

    def width(self, cover: int) -> int:
        """Positions of a frame around changes of up to `cover` letters."""
        return 1 - (1 - cover) // self.stride + 2 * self.reach

    def positions(self, changes: Changes) -> tuple[Array, Array]:
        """Positions of the output in each frame, `[n, width]`, and whether they exist and lie within reach."""
        near = around(ChangeRanges(changes.lo, changes.hi), self.reach, self.stride, self.offset)
        places = near.lo[:, None] + np.arange(self.width(changes.cover))
        return places, (places >= 0) & (places < self.length) & (places < near.hi[:, None])

    def cut(self, whole: Array, changes: Changes) -> Array:
        """Frames `[n, width, ...]` of whole rows `[n, length, ...]`; NaN (integers: 0) out of reach or range."""
        return self.cut_shared(whole, np.arange(len(whole)), changes)

    def cut_shared(self, whole: Array, row: Array, changes: Changes) -> Array:
        """The same of rows `row [n]` of a table."""
        places, known = self.positions(changes)
        return _where(known, whole[row[:, None], np.clip(places, 0, self.length - 1)])

    def place(self, rows: Array, start: Array, changes: Changes, beside: Array) -> Array:
        """Frames of windows `[n, w, ...]`, which begin at `start [n]`, over frames of what lies beside them."""
        places, known = self.positions(changes)
        source, width = places - start[:, None], rows.shape[1]
        inside = (source >= 0) & (source < width) & known
        found = rows[np.arange(len(rows))[:, None], np.clip(source, 0, width - 1)]
        return np.where(_broad(inside, found), found, beside)


def _where(known: Array, frames: Array) -> Array:
    """Frames with NaN where nothing is known; 0 in whole numbers."""
    missing = np.nan if frames.dtype.kind in "fV" else 0
    return np.where(_broad(known, frames), frames, np.asarray(missing).astype(frames.dtype))


def _broad(condition: Array, frames: Array) -> Array:
    return condition.reshape(*condition.shape, *[1] * (frames.ndim - 2))
