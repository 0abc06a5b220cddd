"""Replacements: every form of `replace_with`, as one `[B, R, w, C]` table."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastism_compiler.inputs import Array
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.errors import ReplacementError


def read_replacement(replace_with: Any, batch: int, ranges: ChangeRanges, letters: int, dtype: str) -> Array:
    """`replace_with` broadcast to `[B, R, w, C]` (a view where it can be).

    Args:
        replace_with: 0 (or another number), `[C]`, `[w, C]`, `[R, w, C]`,
            `[B, R, w, C]`, or a list of R arrays where widths differ.
        batch: number of sequences B.
        ranges: the change ranges; `w` is the widest, narrower ranges use the first rows.
        letters: number of letter channels C.
        dtype: dtype of the sequence.

    Raises:
        ReplacementError: a shape that fits no form, a `[w, C]` that does not
            fit every range, or values that are not finite numbers.
    """
    width = ranges.max_width
    if isinstance(replace_with, list | tuple) and _is_ragged(replace_with, ranges):
        table = _stack(replace_with, ranges, letters, dtype)
    else:
        table = _as_array(replace_with, dtype)
    _check_shape(table, batch, ranges, letters)
    return np.broadcast_to(table, (batch, ranges.count, width, letters))


def _is_ragged(values: list[Any] | tuple[Any, ...], ranges: ChangeRanges) -> bool:
    """A list of R arrays `[w_r, C]`, as opposed to nested numbers."""
    return len(values) == ranges.count and all(np.ndim(v) == 2 for v in values)


def _stack(values: list[Any] | tuple[Any, ...], ranges: ChangeRanges, letters: int, dtype: str) -> Array:
    table = np.zeros((ranges.count, ranges.max_width, letters), dtype=dtype)
    for r, value in enumerate(values):
        array = _as_array(value, dtype)
        if array.shape != (ranges.widths[r], letters):
            raise ReplacementError(
                "a list of replacements gives each range its own width",
                expected=[int(ranges.widths[r]), letters],
                got=f"replacement {r}: {list(array.shape)}",
            )
        table[r, : len(array)] = array
    return table


def _as_array(value: Any, dtype: str) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ReplacementError("a replacement must be a regular array", got=str(error)) from error
    if array.dtype.kind not in "biuf":
        raise ReplacementError("a replacement is made of numbers", got=f"dtype {array.dtype}")
    array = array.astype(dtype)
    if not np.isfinite(array).all():
        raise ReplacementError("a replacement must be finite", expected="no NaN, no infinity", got="NaN or infinity")
    return array


def _check_shape(table: Array, batch: int, ranges: ChangeRanges, letters: int) -> None:
    width, count = ranges.max_width, ranges.count
    legal = [(), (letters,), (width, letters), (count, width, letters), (batch, count, width, letters)]
    if table.shape not in legal:
        raise ReplacementError(
            "replace_with fits none of its forms",
            expected="a number, " + ", ".join(str(list(s)) for s in legal[1:]),
            got=list(table.shape),
        )
    if table.ndim == 2 and (ranges.widths != width).any():
        raise ReplacementError(
            "a replacement [w, C] must fit every range",
            expected="ranges of one width, or a list of R arrays",
            got=f"widths {sorted(set(ranges.widths.tolist()))}",
        )
