"""Spelling: sequences given as text, made into a model's input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.errors import InputError, InputTypeError
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.inputs import Array, InputSpec
from fastism_compiler.mutations.letters import Letters, Tokens

UNKNOWN = "NX"
"""Letters that stand for "some letter", where the alphabet does not have them: no channel is 1."""
_NOBODY = -1


def one_hot(sequences: str | Sequence[str], alphabet: str = "ACGT") -> npt.NDArray[np.float32]:
    """Sequences as one-hot arrays.

    Args:
        sequences: one text, or several of one length. Lower case is read as upper case.
        alphabet: letters in the order of the channels.

    Returns:
        `[B, L, C]` float32 (B = 1 for one text). `N` and `X` are all zeros, unless they are letters of the alphabet.

    Raises:
        InputError: no sequence, an empty one, several lengths, or another letter.
        InputTypeError: something that is not a text.
        OptionError: an alphabet that names no letter, or one twice.
    """
    if not isinstance(alphabet, str) or not alphabet or len(set(alphabet)) < len(alphabet):
        raise OptionError("alphabet= is letters, each of them once", expected='such as "ACGT"', got=repr(alphabet))
    codes = codes_of(sequences, alphabet)
    return (codes[..., None] == np.arange(len(alphabet))).astype(np.float32)


def codes_of(sequences: str | Sequence[str], alphabet: str) -> npt.NDArray[np.int64]:
    """Sequences as indices into the alphabet, `[B, L]`; -1 for an unknown letter.

    Raises:
        InputError, InputTypeError: see `one_hot`.
    """
    texts = [sequences] if isinstance(sequences, str) else list(sequences)
    if not texts:
        raise InputError("at least one sequence is needed", got="none")
    rows = [_codes(number, text, alphabet) for number, text in enumerate(texts)]
    lengths = sorted({len(row) for row in rows})
    if len(lengths) > 1 or lengths[0] == 0:
        raise InputError("sequences of one call have one length", expected="equal lengths, 1 or more", got=lengths)
    return np.stack(rows)


def _codes(number: int, text: Any, alphabet: str) -> npt.NDArray[np.int64]:
    if not isinstance(text, str):
        raise InputTypeError("sequences are texts, or arrays", got=f"sequence {number}: {type(text).__name__}")
    known = code_table(alphabet)
    wrong = next((i for i, letter in enumerate(text) if letter not in known), None)
    if wrong is not None:
        raise InputError(
            "a letter outside the alphabet",
            expected=f"letters of {alphabet!r}, or {' or '.join(UNKNOWN)} for an unknown letter",
            got=f"{text[wrong]!r} at position {wrong} of sequence {number}",
        )
    return np.fromiter((known[letter] for letter in text), np.int64, len(text))


def code_table(alphabet: str) -> Mapping[str, int]:
    """The index of each letter, in both cases unless the alphabet tells them apart; -1 for unknown letters."""
    exact = {letter: i for i, letter in enumerate(alphabet)}
    folded = {case: i for letter, i in exact.items() for case in (letter.lower(), letter.upper())}
    unknown = {case: _NOBODY for letter in UNKNOWN for case in (letter, letter.lower())}
    return {**unknown, **folded, **exact}


def spelt(x: Any, inputs: InputSpec, letters: Letters, alphabet: str) -> Any:
    """A model's inputs, with a sequence given as text made an array; all others unchanged.

    Raises:
        InputError: letters outside the alphabet, or an unknown letter where the model reads tokens.
    """
    place = inputs.sequence
    if len(inputs.names) == 1 and is_text(x):
        return _array(x, inputs, letters, alphabet)
    if isinstance(x, Mapping):
        names = {inputs.names[place], *((inputs.keys[place],) if inputs.keys is not None else ())}
        return {n: _array(v, inputs, letters, alphabet) if n in names and is_text(v) else v for n, v in x.items()}
    if isinstance(x, list | tuple) and len(x) == len(inputs.names) and is_text(x[place]):
        return [*x[:place], _array(x[place], inputs, letters, alphabet), *x[place + 1 :]]
    return x


def is_text(value: Any) -> bool:
    """Whether a value is a text, or several."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "U"
    several = isinstance(value, list | tuple) and bool(value)
    return isinstance(value, str) or (several and all(isinstance(text, str) for text in value))


def _array(value: Any, inputs: InputSpec, letters: Letters, alphabet: str) -> Array:
    """Texts as the model takes them: letters alone in their channels, or tokens."""
    if len(alphabet) != letters.count:
        raise InputError(
            "texts are spelt in the alphabet, one letter per channel or token",
            expected=f"alphabet= with {letters.count} letters",
            got=repr(alphabet),
        )
    codes = codes_of(value if isinstance(value, str) else np.asarray(value).tolist(), alphabet)
    type_ = inputs.types[inputs.sequence]
    if isinstance(letters, Tokens) and (codes == _NOBODY).any():
        raise InputError("an unknown letter, and the model reads tokens without one for it", got=UNKNOWN[0])
    alone = np.concatenate([letters.alone(type_.dtype), np.zeros((1, letters.columns), type_.dtype)])
    x = np.zeros((*codes.shape, *(type_.extent(i) for i in range(2, type_.rank))), type_.dtype)
    for row, chosen in zip(x, alone[codes], strict=True):
        letters.write(row, chosen)
    return x if inputs.layout is None else inputs.layout.write(x)
