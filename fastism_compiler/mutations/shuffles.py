"""Shuffled sequences: what a range can be replaced with, where zeros are nothing that the model has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fastism_compiler.arguments import or_none, whole
from fastism_compiler.errors import InputError
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.spelling import is_text, one_hot

KINDS = ("letter", "dinucleotide")
Codes = npt.NDArray[np.int64]
"""Of each position: the letter; for an unknown one, the number of letters."""
_RULE, _EXPECTED = "shuffles are of one-hot sequences", "[B, L, C], or texts"


def shuffles(
    x: npt.ArrayLike | str | Sequence[str],
    count: int = 1,
    kind: str = "dinucleotide",
    seed: int | None = None,
    *,
    alphabet: str = "ACGT",
) -> npt.NDArray[np.float32]:
    """Sequences in another order, with the same letters or the same pairs of neighbouring letters.

    `program(x, replace_with=...)` takes parts of them, `[B, R, w, C]`:
    `np.stack([fc.shuffles(x)[0][:, lo:hi] for lo, hi in ranges], axis=1)`.

    Args:
        x: one-hot `[B, L, C]`, with zeros for an unknown letter, or texts.
        count: shuffles of each sequence.
        kind: `letter`, or `dinucleotide`: all orders that keep the number of each pair, equally likely (Altschul and
            Erickson, 1985). Such an order begins and ends with the letters of the sequence.
        seed: of the draw; None: another one each time.
        alphabet: of texts.

    Returns:
        `[count, B, L, C]` float32.

    Raises:
        InputError: something that is not one-hot, or a letter outside the alphabet.
        OptionError: another kind, no shuffle, or a seed below 0.
    """
    count, seed = whole("count", count, 1), or_none(lambda name, value: whole(name, value, 0))("seed", seed)
    if kind not in KINDS:
        raise OptionError("no such kind of shuffle", expected=f"one of {list(KINDS)}", got=repr(kind))
    letters = _one_hot(x, alphabet)
    codes = np.where(letters.any(axis=2), letters.argmax(axis=2), letters.shape[2])
    rng = np.random.default_rng(seed)
    shuffle = _letters if kind == "letter" else _pairs
    orders = np.array([[shuffle(row, rng) for row in codes] for _ in range(count)])
    return (orders[..., None] == np.arange(letters.shape[2])).astype(np.float32)


def _one_hot(x: npt.ArrayLike | str | Sequence[str], alphabet: str) -> Array:
    """`[B, L, C]`; zeros for an unknown letter."""
    listed = x.tolist() if isinstance(x, np.ndarray) and x.dtype == object else x  # a column of a table
    if is_text(listed):
        return one_hot(listed if isinstance(listed, str) else np.asarray(listed).tolist(), alphabet)
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise InputError(_RULE, expected=_EXPECTED, got=str(error)) from error
    right = array.ndim == 3 and array.size > 0 and array.dtype.kind in "biuf"
    if not right or not ((array == 0) | (array == 1)).all() or (array.sum(axis=2) > 1).any():
        raise InputError(_RULE, expected=_EXPECTED, got=list(array.shape))
    return array


def _letters(codes: Codes, rng: np.random.Generator) -> Codes:
    return rng.permutation(codes)


def _pairs(codes: Codes, rng: np.random.Generator) -> Codes:
    """A walk over all pairs as edges between letters, in which each letter's last edge leads on to the final letter."""
    edges = {int(letter): codes[1:][codes[:-1] == letter] for letter in np.unique(codes[:-1])}
    last = _last_edges(edges, int(codes[-1]), rng)
    walks = {}
    for letter, after in edges.items():
        order = rng.permutation(len(after))
        if letter in last:
            order = np.array([*order[order != last[letter]], last[letter]])
        walks[letter] = iter(after[order])
    walk = [codes[0]]
    for _ in range(len(codes) - 1):
        walk.append(next(walks[int(walk[-1])]))
    return np.array(walk)


def _last_edges(edges: Mapping[int, Codes], final: int, rng: np.random.Generator) -> dict[int, int]:
    """For each letter but the final one, one of its edges, so that all lead there: all such trees equally likely.

    Random walks with their loops erased (Wilson, 1996).
    """
    last: dict[int, int] = {}
    reached = {final}
    for start in edges:
        letter, taken = start, {}
        while letter not in reached:
            taken[letter] = int(rng.integers(len(edges[letter])))  # the latest exit: that erases the loops
            letter = int(edges[letter][taken[letter]])
        letter = start
        while letter not in reached:
            reached.add(letter)
            last[letter] = taken[letter]
            letter = int(edges[letter][taken[letter]])
    return last
