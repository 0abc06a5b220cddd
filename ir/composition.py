"""Two convolutions in a row as one: which taps meet, and which changes an edge makes inexact.

A convolution of `k1` taps, `d1` apart, and one of `k2` taps, `d2` apart, add `x[p + t d1 + s d2] K1[t] K2[s]` to output
`p`: a convolution of the kernel that holds, at each offset, the sum of the products `K1[t] K2[s]` that meet there.
The results are equal only where the intermediate value extends as far as the second one reads: beyond its ends the
second one reads zeros, which the composed kernel does not.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from fastism_compiler.ir.position_map import PositionMap
from fastism_compiler.ir.ranges import ChangeRanges

Pair = tuple[int, int]
"""What belongs to the first convolution, and to the second."""


def composed_dilation(taps: Pair, dilations: Pair) -> int:
    """Dilation of the composed kernel: the largest whose grid holds the taps of both kernels."""
    return math.gcd(*(d for k, d in zip(taps, dilations, strict=True) if k > 1)) or 1


def composed_taps(taps: Pair, dilations: Pair, dilation: int) -> int:
    """Number of taps of the composed kernel; taps without a product are zeros."""
    return sum((k - 1) * d for k, d in zip(taps, dilations, strict=True)) // dilation + 1


def meeting_taps(taps: Pair, dilations: Pair) -> list[list[Pair]]:
    """For each tap of the composed kernel: the pairs of taps whose products it sums."""
    dilation = composed_dilation(taps, dilations)
    found: list[list[Pair]] = [[] for _ in range(composed_taps(taps, dilations, dilation))]
    for first in range(taps[0]):
        for second in range(taps[1]):
            found[(first * dilations[0] + second * dilations[1]) // dilation].append((first, second))
    return found


def cut_by_edges(
    ranges: ChangeRanges, first: PositionMap, second: PositionMap, demand: tuple[int, int]
) -> npt.NDArray[np.bool_]:
    """Changes that reach past an end of the intermediate value, so that composing is inexact: bool `[R]`.

    Args:
        ranges: where the first one's operand changes.
        first: the position map of the first one.
        second: that of the second one, which reads the result of the first.
        demand: the output positions `[start, stop)` of the second one that are read.
    """
    start, stop = first.forward(ranges.lo, ranges.hi)
    lowest, highest = second.backward(*demand)
    start, stop = np.maximum(start, lowest), np.minimum(stop, highest)
    outside = (start < 0) | (stop > first.out_length)
    return outside & (start < stop) & (ranges.widths > 0)
