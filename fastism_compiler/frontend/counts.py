"""Graphs are followed with two fixed numbers of sequences: all shapes are known, and what depends on them differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SEQUENCES = 13, 17
"""What comes from the number of sequences is different with each; small, as constants are as large."""


@dataclass(frozen=True, slots=True)
class Varying:
    """A constant that differs with the number of sequences, such as a shape.

    Attributes:
        pair: its value with each number of sequences.
    """

    pair: tuple[Any, Any]

    @property
    def once(self) -> Any:
        """Where it holds the same for each sequence: that, for one; it is spread where it meets others. Else None."""
        a, b = self.pair
        if not (a.ndim and b.ndim and (len(a), len(b)) == SEQUENCES):
            return None
        same = all(np.array_equal(x, np.repeat(a[:1], len(x), 0)) for x in self.pair)
        return a[:1] if same else None


def common(a: Any, b: Any) -> Any:
    """One constant where both are the same."""
    return a if np.array_equal(a, b, equal_nan=a.dtype.kind == "f") else Varying((a, b))
