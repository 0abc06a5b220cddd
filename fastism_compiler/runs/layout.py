"""Layout: the arrays of a store, what each row is, and which arrays a task writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

Array = npt.NDArray[Any]
Row = Mapping[str, Any]
"""One row of every column, by name."""

_CELLS_PER_TASK = 1 << 17
_BYTES_PER_CHUNK = 64 << 20
_MOST_ROWS = 1024
_TASKS = 32


@dataclass(frozen=True, slots=True)
class Column:
    """One value per row, read from the input.

    Attributes:
        dtype: numpy's name, or `string`.
        shape: of one value.
        dims: names of its axes.
    """

    dtype: str
    shape: tuple[int, ...] = ()
    dims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Layout:
    """The arrays of a store.

    Attributes:
        rows: name of the row dimension.
        columns: one value per row, from the input.
        fixed: arrays that are the same for all rows, with the names of their axes.
        results: float32 arrays that tasks fill: shape of one row, and its dimensions.
        numbers: indices of outputs that are scored in part (see `outputs.numbers_along`).
    """

    rows: str
    columns: Mapping[str, Column]
    results: Mapping[str, Column]
    fixed: Mapping[str, tuple[Array, tuple[str, ...]]] = field(default_factory=dict)
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outputs(self) -> list[str]:
        """Names of what is scored."""
        return [name.removeprefix("scores/") for name in self.results if name.startswith("scores/")]


def rows_per_task(layout: Layout, block: int, rows: int) -> int:
    """Rows of one task, which are one chunk of every result.

    A task is large enough to make its file overhead small, and small enough
    to lose little with it: about 131,000 scored cells (32 sequences of 1,000
    positions), at most 1,024 rows and 64 MiB per array, in whole blocks. A
    short run has 32 tasks, if it has as many blocks, so that workers share it.

    Args:
        layout: the arrays.
        block: rows of one call.
        rows: rows of the whole run.
    """
    sizes = [_product(c.shape) for c in layout.results.values()]
    leading = max(_product(c.shape[:2]) for c in layout.results.values())
    most = min(_CELLS_PER_TASK // leading, _BYTES_PER_CHUNK // (4 * max(sizes)), _MOST_ROWS, rows // _TASKS)
    return max(most // block, 1) * block


def chunk_of(column: Column, rows: int) -> tuple[int, ...]:
    """The chunk of a result array: a task's rows, cut along the first axis of a row where that is very large."""
    shape = column.shape
    if not shape:
        return (rows,)
    per_step = 4 * rows * _product(shape[1:])
    return (rows, max(min(shape[0], _BYTES_PER_CHUNK // per_step), 1), *shape[1:])


def output_dims(name: str, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the axes of an output."""
    return tuple(f"{name}_{axis}" for axis in range(len(shape)))


def _product(shape: tuple[int, ...]) -> int:
    result = 1
    for extent in shape:
        result *= extent
    return result
