"""What two substitutions do together, and what of it is more than each alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.mutations.inputs import Array


@dataclass(frozen=True, slots=True, eq=False)
class PairEffects:
    """Effects of pairs of substitutions, in the nest of the model's outputs.

    Attributes:
        positions: `[N, 2]`, the first position of a pair before the second.
        joint: `[B, N, C, C, *out]`: mutant - reference, with the letter of the first axis `C` at the first position
            and that of the second at the second.
        single: `[B, P, C, *out]`: mutant - reference of one substitution at each of `singly`.
        singly: `[P]`, the positions of all pairs, in order.
        interaction: `[B, N, C, C, *out]`: joint - single of the first - single of the second; 0 where a letter is
            already there.
    """

    positions: npt.NDArray[Any]
    joint: Any
    single: Any
    singly: npt.NDArray[Any]
    interaction: Any

    def __repr__(self) -> str:
        return f"<PairEffects of {len(self.positions)} pairs of {len(self.singly)} positions>"


def together(first: Array, second: Array) -> Array:
    """`[..., C, C, *out]`: the sum of two single effects `[..., C, *out]`; leading axes are `[B, N]`."""
    with np.errstate(invalid="ignore"):  # infinities of unlike signs make NaN
        total: Array = first[:, :, :, None] + second[:, :, None, :]
    return total
