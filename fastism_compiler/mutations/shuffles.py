"""Shuffled sequences: what a range can be replaced with, where zeros are nothing that the model has seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from fastism_compiler.arguments import or_none, whole
from fastism_compiler.errors import InputError
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.spelling import one_hot

KINDS = ("letter", "dinucleotide")
Codes = npt.NDArray[np.int64]


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
    codes = _codes(x, alphabet)
    rng = np.random.default_rng(seed)
    shuffle = _letters if kind == "letter" else _pairs
    orders = np.array([[shuffle(row, rng) for row in codes] for _ in range(count)])
    letters = len(alphabet) if _is_text(x) else np.shape(x)[2]
    return (orders[..., None] == np.arange(letters)).astype(np.float32)


def _is_text(x: object) -> bool:
    array = np.asarray(x) if isinstance(x, np.ndarray) else None
    listed = x if array is None or array.dtype != object else array.tolist()
    several = isinstance(listed, list | tuple) and bool(listed) and all(isinstance(text, str) for text in listed)
    return isinstance(x, str) or several or (array is not None and array.dtype.kind == "U")


def _codes(x: npt.ArrayLike | str | Sequence[str], alphabet: str) -> Codes:
    """`[B, L]`: the letter of each position, and for an unknown one the number of letters."""
    try:
        array = one_hot(x if isinstance(x, str) else np.asarray(x).tolist(), alphabet) if _is_text(x) else np.asarray(x)
    except ValueError as error:
        raise InputError("shuffles are of one-hot sequences", expected="[B, L, C], or texts", got=str(error)) from error
    right = array.ndim == 3 and array.size > 0 and array.dtype.kind in "biuf"
    if not right or not ((array == 0) | (array == 1)).all() or (array.sum(axis=2) > 1).any():
        raise InputError("shuffles are of one-hot sequences", expected="[B, L, C], or texts", got=list(array.shape))
    return np.where(array.any(axis=2), array.argmax(axis=2), array.shape[2])


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
