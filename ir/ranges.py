"""Change ranges: which positions of a value may differ from the reference.

A *state* (`Constant`, `Window`, `Full`) says where a value may differ.
A `Carrier` says where a window is *stored*: one start per range and one
static width that covers it. States come from arithmetic alone; carriers
are chosen by `place-windows`, and may be wider or overhang the sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from fastism_compiler.ir.errors import RangeError
from fastism_compiler.ir.position_map import PositionMap, Table


@dataclass(frozen=True, slots=True, eq=False)
class ChangeRanges:
    """Half-open intervals `[lo[r], hi[r])`, one per change; `lo == hi` is no change."""

    lo: Table
    hi: Table

    @property
    def count(self) -> int:
        return len(self.lo)

    @property
    def widths(self) -> Table:
        return self.hi - self.lo

    @property
    def max_width(self) -> int:
        return int(self.widths.max(initial=0))

    def subset(self, members: Table) -> ChangeRanges:
        """The ranges at these indices."""
        return ChangeRanges(self.lo[members], self.hi[members])

    def equals(self, other: ChangeRanges) -> bool:
        """Whether both hold the same ranges in the same order."""
        return np.array_equal(self.lo, other.lo) and np.array_equal(self.hi, other.hi)

    def through(self, position_map: PositionMap) -> ChangeRanges:
        """The output positions these changes reach."""
        if position_map.is_identity:
            return self
        return ChangeRanges(*position_map.reached(self.lo, self.hi))

    def union(self, other: ChangeRanges) -> ChangeRanges:
        """The hull of two changes; an empty one does not count."""
        if other is self:
            return self
        lo = np.minimum(self.lo, other.lo)
        hi = np.maximum(self.hi, other.hi)
        lo = np.where(self.widths == 0, other.lo, np.where(other.widths == 0, self.lo, lo))
        hi = np.where(self.widths == 0, other.hi, np.where(other.widths == 0, self.hi, hi))
        return ChangeRanges(lo, hi)

    def clip(self, start: int, stop: int) -> ChangeRanges:
        """The part of each change inside `[start, stop)`."""
        if start <= self.lo.min(initial=start) and self.hi.max(initial=stop) <= stop:
            return self
        lo = np.clip(self.lo, start, stop)
        hi = np.clip(self.hi, lo, stop)
        return ChangeRanges(np.where(lo == hi, 0, lo), np.where(lo == hi, 0, hi))

    def cut(self, start: Table, stop: Table) -> ChangeRanges:
        """The part of each change `r` inside `[start[r], stop[r])`."""
        lo, hi = np.maximum(self.lo, start), np.minimum(self.hi, stop)
        return ChangeRanges(np.where(hi <= lo, 0, lo), np.where(hi <= lo, 0, hi))

    def contains(self, other: ChangeRanges) -> bool:
        """Whether each change holds the other's; an empty one holds nothing but another empty one."""
        if other is self:
            return True
        inside = (self.lo <= other.lo) & (other.hi <= self.hi)
        return bool(np.all(inside | (other.hi <= other.lo)))

    @staticmethod
    def everywhere(length: int, width: int) -> ChangeRanges:
        """`[i, i + width)` for every `i` that lets it lie inside a sequence of this length."""
        lo = np.arange(length - width + 1, dtype=np.int64)
        return ChangeRanges(lo, lo + width)

    @staticmethod
    def of(ranges: Sequence[tuple[int, int]] | None, length: int) -> ChangeRanges:
        """Check user ranges against a sequence of `length`; None means every position.

        Raises:
            RangeError: no ranges, a pair that is not two integers, a reversed
                or empty range, or one that overhangs the sequence.
        """
        if ranges is None:
            return ChangeRanges.everywhere(length, 1)
        try:
            table = np.asarray(list(ranges))
        except (TypeError, ValueError) as error:  # not iterable, or rows of unequal length
            raise RangeError(
                "change ranges are pairs of integers (start, end), end exclusive",
                expected="[(start, end), ...]",
                got=repr(ranges)[:80],
            ) from error
        if table.size == 0:
            raise RangeError("at least one change range is needed", expected="[(start, end), ...]", got=ranges)
        if table.ndim != 2 or table.shape[1] != 2 or table.dtype.kind not in "iu":
            raise RangeError(
                "change ranges are pairs of integers (start, end), end exclusive",
                expected="an integer table [R, 2]",
                got=f"{table.dtype}{list(table.shape)}",
            )
        lo, hi = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
        for broken, rule in (
            (hi <= lo, "a change range must end after it starts"),
            ((lo < 0) | (hi > length), "a change range must lie inside the sequence"),
        ):
            if broken.any():
                first = int(np.argmax(broken))
                raise RangeError(
                    rule,
                    expected=f"0 <= start < end <= {length}",
                    got=f"range {first}: ({lo[first]}, {hi[first]})",
                )
        return ChangeRanges(lo, hi)

    def describe(self) -> str:
        """`[i-9, i+10)` where most ranges shift with their index `i`; else the middle range and the largest width."""
        if self.count == 0:
            return "[]"
        middle = self.count // 2
        index = np.arange(self.count)
        interior = (self.lo - index == self.lo[middle] - middle) & (self.hi - index == self.hi[middle] - middle)
        if self.count > 1 and interior.mean() > 0.5:
            return f"[i{self.lo[middle] - middle:+d}, i{self.hi[middle] - middle:+d})"
        return f"[{self.lo[middle]}, {self.hi[middle]})@{middle} w<={self.max_width}"


def around(changes: ChangeRanges, reach: int, stride: int, offset: int) -> ChangeRanges:
    """Positions within `reach` of each change, where position p stands for letters from `offset + p * stride` on."""
    first, last = (changes.lo - offset) // stride, (changes.hi - 1 - offset) // stride
    return ChangeRanges(first - reach, last + 1 + reach)


@dataclass(frozen=True, slots=True)
class Constant:
    """The same for every mutation: a parameter, or a value of an unmutated input."""

    def __str__(self) -> str:
        return "constant"


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """May differ from the reference only in `ranges` along `axis`."""

    axis: int
    ranges: ChangeRanges
    length: int

    def __str__(self) -> str:
        return self.ranges.describe()


@dataclass(frozen=True, slots=True)
class Full:
    """May differ everywhere."""

    def __str__(self) -> str:
        return "full"


State = Constant | Window | Full


@dataclass(frozen=True, slots=True)
class Kept:
    """The part of a value that is kept for tiles to read: positions `[first, stop)` on `axis`."""

    axis: int
    first: int
    stop: int

    @property
    def extent(self) -> int:
        """Number of positions."""
        return self.stop - self.first

    def holds(self, other: Kept) -> bool:
        """Whether the other part lies in this one."""
        return self.axis == other.axis and self.first <= other.first and other.stop <= self.stop

    def __str__(self) -> str:
        return f"[{self.first}, {self.stop})"


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """Where the rows of a window are stored: `[start[r], start[r] + width)` for range `r`.

    The width is at least 1, even where a stride skips every change.
    """

    start: Table
    width: int

    @property
    def stop(self) -> Table:
        return self.start + self.width

    def hull(self, other: Carrier) -> Carrier:
        """The narrowest carrier that covers both in every row."""
        if other.same_as(self):
            return self
        start = np.minimum(self.start, other.start)
        stop = np.maximum(self.stop, other.stop)
        return Carrier(start, max(int((stop - start).max()), 1))

    def same_as(self, other: Carrier) -> bool:
        return other is self or (self.width == other.width and bool((self.start == other.start).all()))

    def overhangs(self, length: int) -> bool:
        """Whether any row is stored partly outside `[0, length)`."""
        return bool(self.start.min() < 0 or self.stop.max() > length)

    def spans(self, length: int) -> bool:
        """Whether every row stores exactly the whole sequence."""
        return self.width == length and not self.start.any()

    def covers(self, ranges: ChangeRanges) -> bool:
        """Whether every changed position is stored."""
        inside = (self.start <= ranges.lo) & (ranges.hi <= self.stop)
        return bool(np.all(inside | (ranges.widths == 0)))

    def offset_from(self, other: Carrier) -> int | None:
        """`self.start - other.start` where it is the same in all rows, else None."""
        shift = self.start - other.start
        return int(shift[0]) if np.all(shift == shift[0]) else None

    def forward(self, position_map: PositionMap) -> Carrier:
        """The carrier that holds everything this one can reach."""
        if position_map.is_identity:
            return self
        start, stop = position_map.forward(self.start, self.stop)
        return Carrier(start, max(int((stop - start).max()), 1))

    def backward(self, position_map: PositionMap) -> Carrier:
        """The carrier that holds everything this one reads."""
        if position_map.is_identity:
            return self
        start, stop = position_map.backward(self.start, self.stop)
        return Carrier(start, max(int((stop - start).max()), 1))

    @staticmethod
    def inside(length: int, width: int, ranges: ChangeRanges) -> Carrier:
        """A carrier of `width` within `[0, length)` that covers `ranges`."""
        return Carrier(np.clip(ranges.lo, 0, length - width), width)

    def moved_inside(self, length: int, width: int, step: int) -> Carrier:
        """This carrier, widened to `width`, moved into `[0, length)`, starts rounded down to multiples of `step`.

        Covers what this one stores inside the sequence if `width >= self.width +
        step - 1`, or `step` divides the starts. The last possible start,
        `length - width`, is allowed whatever `step` is.
        """
        return Carrier(np.clip(self.start // step * step, 0, length - width), width)

    def __str__(self) -> str:
        index = np.arange(len(self.start))
        middle = len(self.start) // 2
        if len(self.start) > 1 and (self.start - index == self.start[middle] - middle).mean() > 0.5:
            return f"i{self.start[middle] - middle:+d}:{self.width}"
        if len(np.unique(self.start)) == 1:
            return f"{self.start[0]}:{self.width}"
        return f"*:{self.width}"
