"""Pairs of substitutions as job lists: both letters, and between them the sequence as it is."""

from __future__ import annotations

from collections.abc import Iterator
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
_BYTES = 1 << 26
"""Most bytes of the replacements, or of the results, of one call of an engine."""
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


Cells = tuple[Array, Array, Array, Array]
"""`(b, n, a, c)`, one each per mutant: its sequence, pair, and letters at the first and at the second position."""


def by_width(pairs: Array, length: int) -> Iterator[tuple[int, Array]]:
    """A width that programs are made for, and the numbers of the pairs `[N, 2]` that fit no narrower one."""
    spans = pairs[:, 1] - pairs[:, 0] + 1
    widths = np.minimum(np.array(_WIDTHS)[np.searchsorted(_WIDTHS, spans)], length)
    for width in np.unique(widths):
        yield int(width), np.flatnonzero(widths == width)


def least_distance(width: int) -> int:
    """Between the positions of pairs of this width."""
    return max(w for w in _WIDTHS if w < width)


def new_pairs(pairs: Array, numbers: Array, x: Array, letters: Letters, mutant_bytes: int) -> Iterator[Cells]:
    """Mutants with two letters that are not there already, in pieces.

    Args:
        pairs: `[N, 2]`, the first position before the second.
        numbers: which of them.
        x: the sequences of one block, `[b, L, ...]`.
        letters: of the model.
        mutant_bytes: of what is kept for one mutant.
    """
    alone, current = letters.alone(x.dtype), letters.read(x)
    step = max(_BYTES // (max(mutant_bytes, 1) * len(x) * letters.count**2), 1)
    for begin in range(0, len(numbers), step):
        some = numbers[begin : begin + step]
        first, second = pairs[some].T
        new_first = (current[:, first, None] != alone).any(-1)  # [b, n, C]
        new_second = (current[:, second, None] != alone).any(-1)
        b, n, a, c = np.nonzero(new_first[:, :, :, None] & new_second[:, :, None, :])
        if len(b):
            yield b, some[n], a, c


def place_pairs(pairs: Array, cells: Cells, width: int, x: Array, letters: Letters) -> tuple[Jobs, Changes]:
    """Mutants as jobs of an engine whose range number `i` is `[i, i + width)`, and where they lie."""
    alone, current, (b, n, a, c) = letters.alone(x.dtype), letters.read(x), cells
    first, second = pairs[n].T
    start = np.minimum(first, current.shape[1] - width)
    replacement = current[b[:, None], start[:, None] + np.arange(width)]
    rows = np.arange(len(b))
    replacement[rows, first - start] = alone[a]
    replacement[rows, second - start] = alone[c]
    jobs = Jobs(b.astype(np.int32), start.astype(np.int32), replacement)
    return jobs, Changes(first, second + 1, width)


def place_singles(positions: Array, x: Array, letters: Letters) -> tuple[Jobs, Changes, tuple[Array, Array, Array]]:
    """Jobs of width 1 for every letter that is not there already at some positions, and `[b, p, C]` of each."""
    alone, current = letters.alone(x.dtype), letters.read(x)
    b, p, c = np.nonzero((current[:, positions, None] != alone).any(-1))
    jobs = Jobs(b.astype(np.int32), positions[p].astype(np.int32), alone[c][:, None])
    return jobs, Changes(positions[p], positions[p] + 1, 1), (b, p, c)
