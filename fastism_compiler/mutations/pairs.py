"""Pairs of substitutions as job lists: both letters, and between them the sequence as it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.arguments import or_none, several, whole
from fastism_compiler.ir.errors import OptionError, RangeError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.mutations.letters import Letters
from fastism_compiler.results.frames import Changes

_WIDTHS = tuple(sorted({1 << k for k in range(28)} | {3 << k for k in range(27)}))
"""Widths that programs are made for: of a pair, the next one; the sequence itself fills it up."""
_CELLS = 1 << 24
"""Most numbers in the replacements of one call of an engine; rows, widths and letters multiply to them."""
_RESULT_BYTES = 1 << 26
"""Most bytes of its results."""
_MOST_PAIRS = 1 << 23


def read_positions(positions: Any, within: Any, length: int) -> npt.NDArray[np.int64]:
    """Pairs of positions, `[N, 2]`.

    Args:
        positions: positions, all pairs of which are meant; None: every position.
        within: only pairs at most so many positions apart; None: all.
        length: of the sequence.

    Raises:
        OptionError: positions that are no list of different whole numbers; no pair, or too many.
        RangeError: a position outside the sequence.
    """
    most = or_none(lambda name, value: whole(name, value, 1))("within", within)
    chosen = sorted(range(length) if positions is None else several(whole)("positions", positions))
    if any(a == b for a, b in pairwise(chosen)):
        raise OptionError("positions= names each position once", got=[a for a, b in pairwise(chosen) if a == b][:5])
    if chosen and not 0 <= chosen[0] <= chosen[-1] < length:
        raise RangeError("positions lie inside the sequence", expected=f"0 .. {length - 1}", got=chosen)
    places = np.array(chosen, np.int64)
    numbers = np.arange(len(places))
    reach = length if most is None else min(most, length)
    ends = np.searchsorted(places, places + reach, side="right")
    partners = ends - numbers - 1
    count = int(partners.sum())
    if count > _MOST_PAIRS:
        raise OptionError("too many pairs", expected=f"at most {_MOST_PAIRS}: fewer positions, or within=", got=count)
    if not count:
        raise OptionError("no two positions make a pair", expected="two positions within reach", got=chosen[:5])
    one = np.repeat(numbers, partners)
    other = one + 1 + np.arange(count) - np.repeat(np.cumsum(partners) - partners, partners)
    return np.stack([places[one], places[other]], axis=1)


@dataclass(frozen=True, slots=True)
class PlacedPairs:
    """Some jobs of one width.

    Attributes:
        width: of the change range of each.
        jobs: as an engine takes them, whose range number `i` is `[i, i + width)`.
        changes: where they lie.
        at: `[b, n, a, c]`: sequence, pair and the two letters of each job.
    """

    width: int
    jobs: Jobs
    changes: Changes
    at: tuple[Array, Array, Array, Array]


def place_pairs(pairs: Array, x: Array, letters: Letters, row_bytes: int) -> Iterator[PlacedPairs]:
    """Jobs for every pair of letters that are not there already, in pieces of one width.

    Args:
        pairs: `[N, 2]`, the first position before the second.
        x: the sequences of one block, `[b, L, ...]`.
        letters: of the model.
        row_bytes: of the results of one mutant.
    """
    length, alone, current = x.shape[1], letters.alone(x.dtype), letters.read(x)
    spans = pairs[:, 1] - pairs[:, 0] + 1
    widths = np.minimum(np.array(_WIDTHS)[np.searchsorted(_WIDTHS, spans)], length)
    for width in np.unique(widths):
        numbers = np.flatnonzero(widths == width)
        rows = min(_CELLS // (int(width) * letters.columns), _RESULT_BYTES // max(row_bytes, 1))
        step = max(rows // (len(x) * letters.count**2), 1)
        for begin in range(0, len(numbers), step):
            yield _placed(pairs, numbers[begin : begin + step], int(width), current, alone)


def _placed(pairs: Array, numbers: Array, width: int, current: Array, alone: Array) -> PlacedPairs:
    first, second = pairs[numbers].T
    new_first = (current[:, first, None] != alone).any(-1)  # [b, n, C]
    new_second = (current[:, second, None] != alone).any(-1)
    b, n, a, c = np.nonzero(new_first[:, :, :, None] & new_second[:, :, None, :])
    start = np.minimum(first[n], current.shape[1] - width)
    replacement = current[b[:, None], start[:, None] + np.arange(width)]
    rows = np.arange(len(b))
    replacement[rows, first[n] - start] = alone[a]
    replacement[rows, second[n] - start] = alone[c]
    jobs = Jobs(b.astype(np.int32), start.astype(np.int32), replacement)
    return PlacedPairs(width, jobs, Changes(first[n], second[n] + 1, width), (b, numbers[n], a, c))


def place_singles(positions: Array, x: Array, letters: Letters) -> tuple[Jobs, Changes, tuple[Array, Array, Array]]:
    """Jobs of width 1 for every letter that is not there already at some positions, and `[b, p, C]` of each."""
    alone, current = letters.alone(x.dtype), letters.read(x)
    b, p, c = np.nonzero((current[:, positions, None] != alone).any(-1))
    jobs = Jobs(b.astype(np.int32), positions[p].astype(np.int32), alone[c][:, None])
    return jobs, Changes(positions[p], positions[p] + 1, 1), (b, p, c)
