"""How a model's sequence input holds its positions and letters, where that is not `[batch, length, letters]`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class SequenceLayout:
    """Axes of a sequence input as the model takes it; programs work on `[batch, length, letters]`.

    Attributes:
        shape: extents without the batch axis; all but two are 1.
        positions: the axis of positions, counted with the batch axis.
        letters: the axis of letters.
    """

    shape: tuple[int, ...]
    positions: int
    letters: int

    @property
    def sizes(self) -> tuple[int, int]:
        """Positions and letters."""
        return self.shape[self.positions - 1], self.shape[self.letters - 1]

    @property
    def swapped(self) -> bool:
        """Whether letters come before positions."""
        return self.letters < self.positions

    def read(self, x: Array) -> Array:
        """`[B, L, C]` from what the model takes."""
        flat = x.reshape(len(x), *self.pair)
        return np.ascontiguousarray(flat.transpose(0, 2, 1) if self.swapped else flat)

    def write(self, x: Array) -> Array:
        """What the model takes, from `[B, L, C]`."""
        flat = x.transpose(0, 2, 1) if self.swapped else x
        return np.ascontiguousarray(flat).reshape(len(x), *self.shape)

    def __str__(self) -> str:
        names = {self.positions: "length", self.letters: "letters"}
        return f"[{', '.join(['batch', *(names.get(axis, '1') for axis in range(1, len(self.shape) + 1))])}]"

    @property
    def pair(self) -> tuple[int, int]:
        """Positions and letters in the order of the model."""
        return self.sizes[::-1] if self.swapped else self.sizes


def find_layout(shape: Sequence[int], letters: int | None) -> SequenceLayout | None:
    """The layout of an input of this shape (without the batch axis).

    Not counting axes of one element, positions come before letters, unless only
    the other order has `letters` letters.

    Args:
        shape: its extents.
        letters: letters of the alphabet; None where the last axis is known to hold them.

    Returns:
        The layout; None for `(L, C)` itself, and for shapes that hold no sequence of one-hot letters.
    """
    wide = [axis for axis, extent in enumerate(shape, 1) if extent != 1]
    if len(wide) != 2 or len(shape) not in (2, 3):
        return None
    first, last = wide
    swapped = letters is not None and shape[first - 1] == letters != shape[last - 1]
    layout = SequenceLayout(tuple(shape), *((last, first) if swapped else (first, last)))
    return layout if swapped or len(shape) == 3 else None
