"""The store: a zarr v3 group that a run fills task by task.

attributes          format, version, alphabet (its letters), score, outputs, numbers (of chosen ones, see
                    `outputs.numbers_along`), settings, model, input, versions, chromosomes, rows, rows_per_task,
                    block, complete
scores/<output>     float32, one row per sequence or variant; NaN where nothing was computed
reference/<output>  float32, the model's output for the sequence itself
...                 the columns of the run (see `scan_scores.py`, `variant_scores.py`)
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fastism_compiler.genomics.extras import missing_extra
from fastism_compiler.runs.digest import Digest
from fastism_compiler.runs.errors import StoreError
from fastism_compiler.runs.files import read_json, sync, sync_tree
from fastism_compiler.runs.journal import FOLDER, Journal
from fastism_compiler.runs.layout import Array, Column, Layout, Row, chunk_of

ROWS_PER_COLUMN_CHUNK = 1024

_META = "zarr.json"


class Store:
    """One store on disk.

    Args:
        path: its folder.

    Raises:
        OptionError: zarr is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import zarr  # an extra, not always installed
        except ImportError as error:
            raise missing_extra("a store", "zarr", "genomics") from error
        self._zarr: Any = zarr
        self.path = path
        self.journal = Journal(path)

    # State

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes of the group; empty where there is no group yet."""
        if not (self.path / _META).exists():
            return {}
        return dict(self._open("r").attrs)

    @property
    def complete(self) -> bool:
        """Whether every result is there."""
        return bool(self.attributes.get("complete", False))

    def check_place(self) -> None:
        """Refuse a folder that holds something else.

        Raises:
            StoreError: a file, or a folder that is neither empty nor a store.
        """
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise StoreError("the output is a folder", expected="a new or an unfinished store", got=str(self.path))
        entries = {p.name for p in self.path.iterdir()}
        ours = str(self.attributes.get("format", "")).startswith("fastism-")
        if entries and FOLDER not in entries and not ours:
            raise StoreError("the output exists, and is no store of this program", got=str(self.path))

    # Making

    def create(self, layout: Layout, rows: Iterable[Row]) -> tuple[int, str]:
        """Write the columns and fixed arrays.

        Args:
            layout: the arrays.
            rows: the input, read once.

        Returns:
            How many rows there are, and the digest of all of them.

        Raises:
            StoreError: the folder holds something that no run has put there.
        """
        self._clear({name.partition("/")[0] for name in (*layout.columns, *layout.fixed, *layout.results)})
        group = self._zarr.create_group(str(self.path), zarr_format=3)
        for name, column in layout.columns.items():
            _make(group, name, column, layout.rows, 0, (ROWS_PER_COLUMN_CHUNK, *column.shape))
        count, digest = 0, Digest()
        for batch in batches(rows, layout.columns):
            added = len(next(iter(batch.values())))
            for name, values in batch.items():
                array = group[name]
                array.resize((count + added, *array.shape[1:]))
                array[count : count + added] = values
            count += added
            digest.add(batch)
        for name, (values, dims) in layout.fixed.items():
            group.create_array(name, data=values, chunks=values.shape, dimension_names=dims)
        return count, str(digest)

    def make_room(self, layout: Layout, rows: int, rows_per_task: int) -> None:
        """Make the arrays of the results; a task's rows are one chunk."""
        group = self._open("r+")
        for name, column in layout.results.items():
            _make(group, name, column, layout.rows, rows, chunk_of(column, rows_per_task))

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set attributes of the group."""
        self._open("r+").attrs.update(dict(attributes))
        sync_tree(self.path / _META)

    def sync(self) -> None:
        """Have everything written so far on disk."""
        sync_tree(self.path)

    # Tasks

    def read_rows(self, names: Iterable[str], begin: int, end: int) -> dict[str, Array]:
        """Rows of some columns."""
        group = self._open("r")
        return {name: np.asarray(group[name][begin:end]) for name in names}

    def write_rows(self, task: int, begin: int, arrays: Mapping[str, Array]) -> None:
        """Write the results of one task, and have them on disk."""
        group = self._open("r+")
        for name, values in arrays.items():
            group[name][begin : begin + len(values)] = values
            sync_tree(self.path / name / "c" / str(task))
            if (self.path / name / "c").exists():
                sync(self.path / name / "c")

    def finish(self) -> None:
        """Take away what crashes left behind, and mark the store complete."""
        for partial in self.path.rglob("*.partial"):
            partial.unlink(missing_ok=True)
        self.set_attributes({"complete": True})

    def _open(self, mode: str) -> Any:
        return self._zarr.open_group(str(self.path), mode=mode, zarr_format=3)

    def _clear(self, names: set[str]) -> None:
        """Take away an input that was not read to its end: what goes by such names, and arrays of other settings."""
        entries = [e for e in self.path.iterdir() if e.name != FOLDER]
        for entry in entries:
            unfinished = entry.name.startswith(_META) or entry.name.endswith(".partial")
            if not (entry.name in names or unfinished or _is_array(entry)):
                raise StoreError("the output holds something else; move it, or choose another output", got=str(entry))
        for entry in entries:
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _is_array(folder: Path) -> bool:
    """Whether this is a zarr array; a group may be another store."""
    return (folder / _META).exists() and read_json(folder / _META).get("node_type") == "array"


def batches(rows: Iterable[Row], columns: Mapping[str, Column]) -> Iterable[dict[str, Array]]:
    """Rows in arrays of one chunk each, so that memory does not grow with their number."""
    iterator = iter(rows)
    while batch := list(islice(iterator, ROWS_PER_COLUMN_CHUNK)):
        yield {name: _array([row[name] for row in batch], column) for name, column in columns.items()}


def _array(values: list[Any], column: Column) -> Array:
    if column.dtype == "string":
        return np.array(values, dtype=object)
    return np.array(values, dtype=column.dtype)


def _make(group: Any, name: str, column: Column, rows: str, count: int, chunks: tuple[int, ...]) -> None:
    group.create_array(
        name,
        shape=(count, *column.shape),
        chunks=tuple(max(c, 1) for c in chunks),
        dtype=str if column.dtype == "string" else column.dtype,
        fill_value=np.nan if name.startswith(("scores/", "reference/")) else None,
        dimension_names=(rows, *column.dims),
    )
