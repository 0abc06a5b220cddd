"""Alphabets: letters as codes (an index, 255 for an unknown letter), and reverse complements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.errors import InputError
from fastism_compiler.ir.errors import OptionError

Codes = npt.NDArray[np.uint8]
"""Letters of sequences, `[..., L]`: indices into the alphabet, 255 where the letter is unknown."""

UNKNOWN = 255
_INVALID = 254


@dataclass(frozen=True)
class Alphabet:
    """The letters of a kind of sequence.

    Attributes:
        name: `dna`, `rna` or `protein`.
        letters: in the order of the model's channels.
        unknown: letters that stand for "some letter"; they are encoded as zeros.
        complement: each letter's complement, or empty where there is none.
    """

    name: str
    letters: str
    unknown: str
    complement: str = ""

    def codes(self, text: str, record: str = "sequence") -> Codes:
        """The letters of `text` as codes `[L]`; lower case is folded.

        Args:
            text: one sequence.
            record: its name, for the message.

        Raises:
            InputError: a letter that is neither in the alphabet nor unknown, by its position (from 1).
        """
        raw = np.frombuffer(text.encode("latin-1", "replace"), np.uint8)
        codes = self._table[raw]
        wrong = np.flatnonzero(codes == _INVALID)
        if len(wrong):
            raise InputError(
                f"not a letter of {self.name}",
                expected=f"one of {self.letters}, or {' or '.join(self.unknown)} for an unknown letter",
                got=f"{text[wrong[0]]!r} at position {wrong[0] + 1} of {record}",
            )
        return codes

    def text(self, codes: Codes) -> str:
        """Codes `[L]` as text, unknown letters as the first of `unknown`."""
        return self._spelling[codes].tobytes().decode("ascii")

    def one_hot(self, codes: Codes) -> npt.NDArray[np.float32]:
        """Codes `[..., L]` as `[..., L, C]`; unknown letters are all zeros."""
        table = np.zeros((256, len(self.letters)), np.float32)
        table[: len(self.letters)] = np.eye(len(self.letters))
        return table[codes]

    def encode(self, text: str, record: str = "sequence") -> npt.NDArray[np.float32]:
        """A sequence as one-hot `[L, C]` (see `codes`)."""
        return self.one_hot(self.codes(text, record))

    def decode(self, one_hot: npt.NDArray[Any]) -> str:
        """One-hot `[L, C]` as text; rows that are not one-hot are unknown."""
        single = (one_hot == 1).sum(-1) == 1
        return self.text(np.where(single & ((one_hot != 0).sum(-1) == 1), one_hot.argmax(-1), UNKNOWN).astype(np.uint8))

    def reverse_complement(self, codes: Codes) -> Codes:
        """The other strand of codes `[..., L]`.

        Raises:
            OptionError: an alphabet without complements.
        """
        return self._complements[codes[..., ::-1]]

    @property
    def complement_order(self) -> list[int]:
        """For each letter, the index of its complement.

        Raises:
            OptionError: an alphabet without complements.
        """
        if not self.complement:
            raise OptionError("only DNA and RNA have a reverse complement", expected="dna or rna", got=self.name)
        return [self.letters.index(c) for c in self.complement]

    @cached_property
    def _table(self) -> Codes:
        table = np.full(256, _INVALID, np.uint8)
        for known, code in [*((c, i) for i, c in enumerate(self.letters)), *((c, UNKNOWN) for c in self.unknown)]:
            table[[ord(known), ord(known.lower())]] = code
        return table

    @cached_property
    def _spelling(self) -> Codes:
        table = np.full(256, ord(self.unknown[0]), np.uint8)
        table[: len(self.letters)] = [ord(c) for c in self.letters]
        return table

    @cached_property
    def _complements(self) -> Codes:
        table = np.full(256, UNKNOWN, np.uint8)
        table[: len(self.letters)] = self.complement_order
        return table


ALPHABETS: Mapping[str, Alphabet] = MappingProxyType(
    {
        "dna": Alphabet("dna", "ACGT", "NX", "TGCA"),
        "rna": Alphabet("rna", "ACGU", "NX", "UGCA"),
        "protein": Alphabet("protein", "ACDEFGHIKLMNPQRSTVWY", "X"),  # N is asparagine
    }
)


def find_alphabet(name: str) -> Alphabet:
    """The alphabet of this name.

    Raises:
        OptionError: a name that is not in `ALPHABETS`.
    """
    if name not in ALPHABETS:
        raise OptionError("no such alphabet", expected=f"one of {sorted(ALPHABETS)}", got=repr(name))
    return ALPHABETS[name]
