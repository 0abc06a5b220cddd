"""Records: sequences of the model's length, each with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.genomics.alphabet import Codes


@dataclass(frozen=True, slots=True)
class Record:
    """One sequence to scan.

    Attributes:
        name: of the record or region.
        codes: `[L]` letters.
        chrom: chromosome, `""` where the sequence comes from no genome.
        start: first base of the model's input on the plus strand (0-based), -1 without a genome.
        end: one past its last base, -1 without a genome.
        strand: `+`, or `-` where `codes` are the reverse complement.
        inputs: the model's other inputs for this sequence, by name.
    """

    name: str
    codes: Codes
    chrom: str = ""
    start: int = -1
    end: int = -1
    strand: str = "+"
    inputs: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)


def centred(codes: Codes, length: int, fill: int) -> Codes:
    """`codes` in the middle of `length` positions, `fill` on both sides."""
    before = (length - len(codes)) // 2
    padded = np.full(length, fill, np.uint8)
    padded[before : before + len(codes)] = codes
    return padded
