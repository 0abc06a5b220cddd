"""How an op moves positions: one frozen description serves every local op.

Two families cover them all, each the mirror image of the other:

* *gather*: output `p` reads inputs `p*stride - pad + t*dilation`, `t < taps`
  (convolution, pooling, cropping, padding, slicing);
* *scatter*: input `a` writes outputs `a*stride - pad + t*dilation`, `t < taps`
  (transposed convolution, up-sampling, flattening, one operand of a concatenation).

`reverse` counts output positions from the far end (flip).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, overload

import numpy as np
import numpy.typing as npt

Table = npt.NDArray[np.int64]


def ceil_div(a: Any, b: Any) -> Any:
    """`a / b`, rounded up; numbers or tables."""
    return -(-a // b)


@dataclass(frozen=True, slots=True)
class PositionMap:
    """Maps positions of one operand to positions of the result, and back.

    Half-open intervals `[lo, hi)` go in and come out; they may be numpy
    tables with one entry per change range. `forward` and `backward` return
    unclipped intervals (storage may overhang the sequence); `reached` and
    `needed` clip them to positions that exist.
    """

    in_length: int
    out_length: int
    stride: int = 1
    dilation: int = 1
    taps: int = 1
    pad: int = 0
    scatter: bool = False
    reverse: bool = False

    @overload
    def forward(self, lo: int, hi: int) -> tuple[int, int]: ...
    @overload
    def forward(self, lo: Table, hi: Table) -> tuple[Table, Table]: ...
    def forward(self, lo: Any, hi: Any) -> tuple[Any, Any]:
        """Output positions that a change of inputs `[lo, hi)` can reach."""
        if self.is_identity:
            return lo, hi
        start, stop = self._expand(lo, hi) if self.scatter else self._contract(lo, hi)
        return (self.out_length - stop, self.out_length - start) if self.reverse else (start, stop)

    @overload
    def backward(self, lo: int, hi: int) -> tuple[int, int]: ...
    @overload
    def backward(self, lo: Table, hi: Table) -> tuple[Table, Table]: ...
    def backward(self, lo: Any, hi: Any) -> tuple[Any, Any]:
        """Input positions that outputs `[lo, hi)` depend on."""
        if self.is_identity:
            return lo, hi
        if self.reverse:
            lo, hi = self.out_length - hi, self.out_length - lo
        return self._contract(lo, hi) if self.scatter else self._expand(lo, hi)

    def reached(self, lo: Table, hi: Table) -> tuple[Table, Table]:
        """`forward`, clipped to the output; an empty change stays empty."""
        start, stop = self.forward(lo, hi)
        start = np.clip(start, 0, self.out_length)
        stop = np.clip(stop, start, self.out_length)
        empty = (hi <= lo) | (stop <= start)
        return np.where(empty, 0, start), np.where(empty, 0, stop)

    def needed(self, lo: int, hi: int) -> tuple[int, int]:
        """`backward`, clipped to the input."""
        if hi <= lo:
            return 0, 0
        start, stop = self.backward(lo, hi)
        start = min(max(int(start), 0), self.in_length)
        return start, min(max(int(stop), start), self.in_length)

    def overhang(self, lo: int, hi: int) -> tuple[int, int]:
        """How many positions in front of the input, and behind it, outputs `[lo, hi)` depend on."""
        start, stop = self.backward(lo, hi)
        return max(-start, 0), max(stop - self.in_length, 0)

    @property
    def is_identity(self) -> bool:
        """Each position maps to itself."""
        plain = self.taps == 1 and self.stride == 1 and self.pad == 0 and not self.reverse
        return plain and self.in_length == self.out_length

    def contacts(self, lo: int = 0, hi: int | None = None) -> Table:
        """Number of (tap, output in `[lo, hi)`) pairs that touch each input position: `[in_length]`.

        The exact arithmetic of a change of input `a` is `contacts()[a]`
        times the multiply-adds of one tap, edges and strides included.
        """
        return _contacts(self, lo, self.out_length if hi is None else hi)

    def _reach(self) -> int:
        return (self.taps - 1) * self.dilation

    def _contract(self, lo: Any, hi: Any) -> tuple[Any, Any]:
        if self.stride == 1:  # the usual case; dividing a table is slow
            return lo + self.pad - self._reach(), hi + self.pad
        start = ceil_div(lo + self.pad - self._reach(), self.stride)
        stop = (hi - 1 + self.pad) // self.stride + 1
        return start, stop

    def _expand(self, lo: Any, hi: Any) -> tuple[Any, Any]:
        return lo * self.stride - self.pad, (hi - 1) * self.stride - self.pad + self._reach() + 1


@lru_cache(maxsize=128)
def _contacts(position_map: PositionMap, lo: int, hi: int) -> Table:
    """`PositionMap.contacts`, cached: a scan is planned several times over the same maps. Read-only."""
    m = position_map
    counts = np.zeros(m.in_length, dtype=np.int64)
    for tap in range(m.taps):
        if m.scatter:
            inputs = np.arange(m.in_length)
            outputs = inputs * m.stride - m.pad + tap * m.dilation
        else:
            outputs = np.arange(m.out_length)
            inputs = outputs * m.stride - m.pad + tap * m.dilation
        if m.reverse:
            outputs = m.out_length - 1 - outputs
        inside = (outputs >= lo) & (outputs < hi) & (inputs >= 0) & (inputs < m.in_length)
        counts[inputs[inside]] += 1  # one tap meets each input once
    counts.flags.writeable = False
    return counts


@lru_cache(maxsize=1024)
def identity(length: int) -> PositionMap:
    """Each position maps to itself (element-wise ops)."""
    return PositionMap(length, length)


def same_padding(length: int, size: int, stride: int = 1, dilation: int = 1) -> tuple[int, int, int]:
    """TensorFlow's `same` rule: output length, left and right padding.

    The left side gets the smaller half (tf.nn, "Notes on padding").
    """
    out_length = ceil_div(length, stride)
    total = max((out_length - 1) * stride + (size - 1) * dilation + 1 - length, 0)
    return out_length, total // 2, total - total // 2
