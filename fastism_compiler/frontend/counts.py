"""Graphs are traced for two fixed numbers of sequences: all shapes are known; what depends on the number differs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

SEQUENCES = 13, 17
"""The two numbers of sequences; small, because constants that depend on the number grow with it."""


@dataclass(frozen=True, slots=True)
class Varying:
    """A constant that differs with the number of sequences, such as a shape.

    Attributes:
        pair: its value with each number of sequences.
    """

    pair: tuple[Any, Any]

    @property
    def once(self) -> Any:
        """Its value for one sequence (leading axis 1, to broadcast) if it is the same for every sequence; else None."""
        a, b = self.pair
        if not (a.ndim and b.ndim and (len(a), len(b)) == SEQUENCES):
            return None
        same = all(np.array_equal(x, np.repeat(a[:1], len(x), 0)) for x in self.pair)
        return a[:1] if same else None


def common(a: Any, b: Any) -> Any:
    """One constant if both are equal, else a `Varying`."""
    return a if np.array_equal(a, b, equal_nan=a.dtype.kind == "f") else Varying((a, b))
