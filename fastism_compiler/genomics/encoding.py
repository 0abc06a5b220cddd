"""How one model spells letters: which channel or token each one is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.genomics.alphabet import UNKNOWN, Alphabet, Codes


@dataclass(frozen=True)
class Encoding:
    """The sequence input of one model.

    Attributes:
        alphabet: the letters.
        length: positions of the model's input.
        numbers: the channel, or the token, of each letter.
        tokens: whether the model reads tokens `[B, L]` instead of one-hot `[B, L, C]`.
        unknown_token: the token of an unknown letter, if there is one.
    """

    alphabet: Alphabet
    length: int
    numbers: tuple[int, ...]
    tokens: bool = False
    unknown_token: int | None = None

    @property
    def takes_unknown(self) -> bool:
        """Whether the model's input can express an unknown letter."""
        return not self.tokens or self.unknown_token is not None

    def encode(self, codes: Codes) -> npt.NDArray[Any]:
        """Codes `[n, L]` as the model's input: `[n, L, C]` float32, or tokens `[n, L]` int32."""
        if not self.tokens:
            x = np.zeros((*codes.shape, len(self.numbers)), np.float32)
            x[..., list(self.numbers)] = self.alphabet.one_hot(codes)
            return x
        table = np.zeros(256, np.int32)
        table[: len(self.numbers)] = self.numbers
        table[UNKNOWN] = self.unknown_token or 0
        return table[codes]

    def decode(self, x: npt.NDArray[Any]) -> tuple[Codes, npt.NDArray[np.bool_]]:
        """One sequence in the model's spelling as codes `[L]`, and which positions spell no letter `[L]`."""
        if self.tokens:
            known = x[:, None] == np.array(self.numbers)
            wrong = ~known.any(-1) & (x != self.unknown_token)
        else:
            known = x[:, list(self.numbers)] == 1
            wrong = (known.sum(-1) > 1) | ((x != 0) & (x != 1)).any(-1)
        codes = np.where(known.any(-1), known.argmax(-1), UNKNOWN).astype(np.uint8)
        return codes, wrong
