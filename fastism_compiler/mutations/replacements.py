"""Replacements: every form of `replace_with`, as one `[B, R, w, C]` table."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastism_compiler.errors import ReplacementError
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.mutations.inputs import Array


def read_replacement(
    replace_with: Any, batch: int, ranges: ChangeRanges, letters: int, dtype: str, *, tokens: bool = False
) -> Array:
    """`replace_with` broadcast to `[B, R, w, C]` (a view where it can be).

    Args:
        replace_with: 0 (or another number), `[C]`, `[w, C]`, `[R, w, C]`,
            `[B, R, w, C]`, or a list of R arrays where widths differ.
        batch: number of sequences B.
        ranges: the change ranges; `w` is the widest, narrower ranges use the first rows.
        letters: number of letter channels C.
        dtype: dtype of the sequence.
        tokens: replacements are spelt in tokens: the same forms without C.

    Raises:
        ReplacementError: a shape that fits no form, a `[w, C]` that does not
            fit every range, or values that are not finite numbers.
    """
    width, count = ranges.max_width, ranges.count
    if isinstance(replace_with, list | tuple) and _is_ragged(replace_with, ranges, 1 if tokens else 2):
        table = _stack(replace_with, ranges, letters, dtype, tokens)
    else:
        table = _as_array(replace_with, dtype)
        table = table[..., None] if tokens and table.ndim else table
    _check_shape(table, batch, ranges, letters, tokens)
    return np.broadcast_to(table, (batch, count, width, letters))


def _is_ragged(values: list[Any] | tuple[Any, ...], ranges: ChangeRanges, rank: int) -> bool:
    """A list of R arrays `[w_r, C]` (tokens: `[w_r]`), as opposed to nested numbers."""
    return len(values) == ranges.count and all(np.ndim(v) == rank for v in values)


def _stack(values: list[Any] | tuple[Any, ...], ranges: ChangeRanges, letters: int, dtype: str, tokens: bool) -> Array:
    table = np.zeros((ranges.count, ranges.max_width, letters), dtype=dtype)
    for r, value in enumerate(values):
        array = _as_array(value, dtype)
        array = array[..., None] if tokens else array
        if array.shape != (ranges.widths[r], letters):
            raise ReplacementError(
                "a list of replacements gives each range its own width",
                expected=[int(ranges.widths[r]), *([] if tokens else [letters])],
                got=f"replacement {r}: {list(np.shape(value))}",
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
    return cast_held(array, dtype, "a replacement")


def cast_held(array: Array, dtype: Any, what: str) -> Array:
    """Numbers in the dtype of the sequence, which must hold them; integers cut fractions off, as Keras does.

    Args:
        array: numbers of any shape.
        dtype: of the sequence.
        what: a noun for them, for the message.

    Raises:
        ReplacementError: NaN, infinity, or a number beyond the dtype.
    """
    finite = array.dtype.kind in "biu" or bool(np.isfinite(array).all())
    if finite and np.dtype(dtype).kind in "iu":
        bounds = np.iinfo(dtype)
        finite = bool(((array >= bounds.min) & (array <= bounds.max)).all())
    with np.errstate(over="ignore"):
        cast = array.astype(dtype) if finite else array
    if not finite or not np.isfinite(cast).all():
        raise ReplacementError(f"{what} must be finite", expected=f"numbers that {dtype} holds", got="others")
    return cast


def _check_shape(table: Array, batch: int, ranges: ChangeRanges, letters: int, tokens: bool) -> None:
    width, count = ranges.max_width, ranges.count
    legal = [(), (letters,), (width, letters), (count, width, letters), (batch, count, width, letters)]
    legal = [legal[0], *legal[2:]] if tokens else legal
    seen = [list(s[:-1] if tokens else s) for s in (table.shape, *legal[1:])]
    if table.shape not in legal:
        raise ReplacementError(
            "replace_with fits none of its forms",
            expected="a number, " + ", ".join(map(str, seen[1:])),
            got=seen[0],
        )
    if table.ndim == 2 and (ranges.widths != width).any():
        raise ReplacementError(
            "one replacement for all ranges must fit every one of them",
            expected="ranges of one width, or a list of R arrays",
            got=f"widths {sorted(set(ranges.widths.tolist()))}",
        )
