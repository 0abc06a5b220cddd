"""Variants: substitutions by sequence, position and alternate, as job lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastism_compiler.errors import InputError, ReplacementError
from fastism_compiler.ir.errors import RangeError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.mutations.letters import Letters, Tokens
from fastism_compiler.mutations.replacements import cast_held
from fastism_compiler.mutations.spelling import code_table
from fastism_compiler.results.frames import Changes


@dataclass(frozen=True, slots=True)
class PlacedVariants:
    """Variants with their alternates as arrays.

    A variant runs on the next power-of-two width, its alternate filled up
    with the sequence itself, so that few programs serve all widths.
    """

    sequence: Array
    position: Array
    alternates: list[Array]
    length: int
    letters: Letters

    def by_width(self, first: int, last: int) -> Iterator[tuple[int, Array]]:
        """`(width, variant numbers)` for the variants of sequences `first .. last - 1`."""
        widths = np.array([min(1 << (len(a) - 1).bit_length(), self.length) for a in self.alternates])
        inside = (self.sequence >= first) & (self.sequence < last)
        for width in np.unique(widths[inside]):
            yield int(width), np.flatnonzero(inside & (widths == width))

    def changes(self, members: Array) -> Changes:
        """Where the variants of these numbers lie."""
        widths = np.array([len(self.alternates[m]) for m in members])
        cover = max(len(alternate) for alternate in self.alternates)
        return Changes(self.position[members], self.position[members] + widths, cover)

    def jobs(self, members: Array, first: int, width: int, x: Array) -> Jobs:
        """Jobs for an engine whose range number `i` is `[i, i + width)`; `x` is the block."""
        start = np.minimum(self.position[members], self.length - width)
        sequence = (self.sequence[members] - first).astype(np.int32)
        offsets = start[:, None] + np.arange(width)
        replacement = self.letters.read(x[sequence[:, None], offsets])
        for row, (member, begin) in enumerate(zip(members, start, strict=True)):
            alternate = self.alternates[member]
            at = self.position[member] - begin
            replacement[row, at : at + len(alternate)] = alternate
        return Jobs(sequence, start.astype(np.int32), replacement)


def place_variants(
    variants: Sequence[tuple[int, int, Any]], x: Array, letters: Letters, alphabet: str
) -> PlacedVariants:
    """Check variants against the sequences `x [B, L, ...]`.

    Raises:
        InputError: none given, an entry that is no triple, or an unknown sequence.
        RangeError: a variant that overhangs its sequence.
        ReplacementError: an alternate outside the alphabet or of a wrong shape.
    """
    listed = _listed(variants)
    sequence, position, alternates = [], [], []
    for number, variant in enumerate(listed):
        if not isinstance(variant, list | tuple | np.ndarray) or len(variant) != 3:
            raise InputError("a variant is (sequence, position, alt)", got=f"variant {number}: {variant!r}"[:200])
        row, start = (_whole(value, f"variant {number}") for value in variant[:2])
        alternate = read_alternate(variant[2], letters, alphabet, x.dtype)
        _check_place(number, row, start, len(alternate), x)
        sequence.append(row)
        position.append(start)
        alternates.append(alternate)
    return PlacedVariants(np.array(sequence), np.array(position), alternates, x.shape[1], letters)


def _listed(variants: Any) -> list[Any]:
    expected = "[(sequence, position, alt), ...]"
    try:
        listed = list(variants) if len(variants) else []
    except TypeError as error:
        raise InputError("variants are a list", expected=expected, got=repr(variants)[:80]) from error
    if not listed:
        raise InputError("at least one variant is needed", expected=expected, got="none")
    return listed


def _whole(value: Any, variant: str) -> int:
    """A sequence's number or a position; 3.0 is one, 3.9 is none."""
    number = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not number and not (isinstance(value, float | np.floating) and float(value).is_integer()):
        raise InputError("sequences and positions are whole numbers", got=f"{variant}: {value!r}"[:200])
    return int(value)


def _check_place(number: int, sequence: int, position: int, width: int, x: Array) -> None:
    batch, length = x.shape[:2]
    if not 0 <= sequence < batch:
        raise InputError(
            "a variant names a sequence that was not given",
            expected=f"0 .. {batch - 1}",
            got=f"variant {number}: sequence {sequence}",
        )
    if position < 0 or position + width > length:
        raise RangeError(
            "a variant must lie inside its sequence",
            expected=f"0 <= position, position + width <= {length}",
            got=f"variant {number}: position {position}, width {width}",
        )


def _spelt_alternate(alt: str, letters: Letters, alphabet: str, dtype: Any) -> Array:
    """An alternate as letters of the alphabet; unknown ones are all zeros.

    Raises:
        ReplacementError: no letters (a deletion), other letters, or an unknown letter where the model reads tokens.
    """
    if not alt:
        raise ReplacementError(
            "a deletion moves everything behind it, and a sequence keeps its length",
            expected="a substitution; scan_variants takes deletions, and fills up from the genome",
            got=repr(alt),
        )
    known = code_table(alphabet)
    codes = [known[letter] for letter in alt if letter in known]
    unknown = isinstance(letters, Tokens) and min(codes, default=0) < 0
    if len(codes) < len(alt) or len(alphabet) != letters.count or unknown:
        raise ReplacementError(
            "an alternate is spelt in the alphabet",
            expected=f"letters of {alphabet!r}, one per channel ({letters.count})",
            got=repr(alt),
        )
    return np.concatenate([letters.alone(dtype), np.zeros((1, letters.columns), dtype)])[codes]


def read_alternate(alt: Any, letters: Letters, alphabet: str, dtype: Any) -> Array:
    """An alternate as `[w, columns]`: from a letter, a string, a letter's index, or an array `[w, C]` (tokens: `[w]`).

    Raises:
        ReplacementError: a letter, index or shape that does not fit.
    """
    alone, count = letters.alone(dtype), letters.count
    if isinstance(alt, str):
        return _spelt_alternate(alt, letters, alphabet, dtype)
    if isinstance(alt, int | np.integer):
        if not 0 <= alt < count:
            raise ReplacementError("an alternate's index must name a letter", expected=f"0 .. {count - 1}", got=alt)
        return alone[[int(alt)]]
    try:
        array = np.asarray(alt)
    except ValueError as error:
        raise ReplacementError("an alternate is a regular array", got=repr(alt)[:80]) from error
    if isinstance(letters, Tokens) and array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] != letters.columns or len(array) == 0 or array.dtype.kind not in "biuf":
        raise ReplacementError(
            "an alternate array is [w, C], or [w] of tokens", expected=["w", letters.columns], got=list(array.shape)
        )
    return cast_held(array, dtype, "an alternate")
