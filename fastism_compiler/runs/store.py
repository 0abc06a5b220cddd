"""The store: a zarr v3 group that a run fills task by task.

attributes          format, version, alphabet (its letters), score, outputs, numbers (of chosen ones, see
                    `outputs.numbers_along`), settings, model, input, versions, chromosomes, rows, rows_per_task,
                    block, complete; checksum over all of them; in a complete store also
                    counts (for the summary), files (size and CRC-32 of every file that no task has written),
                    tasks (for each its counts, and the same of its files)
scores/<output>     float32, one row per sequence or variant; NaN where nothing was computed
reference/<output>  float32, the model's output for the sequence itself
...                 the columns of the run (see `scan_scores.py`, `variant_scores.py`)

Every chunk ends with a CRC-32C, which any reader of zarr checks. Chunks of fill values alone are written too, so that
the loss of one is noticed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from itertools import islice, product
from pathlib import Path
from typing import Any

import numpy as np

from fastism_compiler.extras import missing_extra
from fastism_compiler.host.files import sync, sync_tree
from fastism_compiler.runs.digest import Digest
from fastism_compiler.runs.errors import StoreError
from fastism_compiler.runs.journal import FOLDER, Journal
from fastism_compiler.runs.layout import Array, Column, Layout, Row, chunk_of
from fastism_compiler.runs.manifest import is_ours, is_theirs, manifest_path
from fastism_compiler.runs.record import SEAL, Entries, damaged, entries_of, is_sealed, read_object, sealed

ROWS_PER_COLUMN_CHUNK = 1024

META = "zarr.json"
ATTRIBUTES = (
    "format",
    "version",
    "alphabet",
    "score",
    "outputs",
    "numbers",
    "settings",
    "model",
    "input",
    "versions",
    "chromosomes",
    "rows",
    "rows_per_task",
    "block",
    "complete",
    "counts",
    "files",
    "tasks",
)
"""What a run writes; users may add attributes of their own."""
_NOT_EMPTY = {"write_empty_chunks": True}


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
        """The attributes of the group; empty where there is no group yet.

        Raises:
            StoreError: the file that holds them is damaged.
        """
        path = self.path / META
        try:
            document = read_object(path)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        attributes = document.get("attributes", {})
        if not isinstance(attributes, dict):
            raise damaged(path, "no attributes")
        # stores of earlier versions have neither a checksum nor a list of files
        if (SEAL in attributes or "files" in attributes) and not is_sealed(attributes, ATTRIBUTES):
            raise damaged(path, "the checksum does not match")
        if document.get("zarr_format") != 3 or document.get("node_type") != "group":
            if SEAL in attributes:
                raise damaged(path, "no group of zarr format 3")
            return {}
        return dict(attributes)

    @property
    def complete(self) -> bool:
        """Whether every result is there."""
        return bool(self.attributes.get("complete", False))

    def check_place(self) -> None:
        """Refuse a folder, or a manifest beside it, that no run has written.

        Raises:
            StoreError: a file, a folder that is neither empty nor a store, or somebody's own `<store>.manifest.json`.
        """
        attributes = self.attributes if self.path.is_dir() else {}
        ours = is_ours(attributes)
        if not ours and is_theirs(self.path):
            raise StoreError(
                "the manifest of the output would replace a file that no run has written; move it",
                got=str(manifest_path(self.path)),
            )
        if not self.path.exists():
            return
        if not self.path.is_dir():
            raise StoreError(
                "the output is a folder, not a file", expected="a new or an unfinished store", got=str(self.path)
            )
        entries = {p.name for p in self.path.iterdir()}
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
                array = group[name].with_config(_NOT_EMPTY)
                array.resize((count + added, *array.shape[1:]))
                array[count : count + added] = values
            count += added
            digest.add(batch)
        for name, (values, dims) in layout.fixed.items():
            group.create_array(
                name,
                data=values,
                chunks=values.shape,
                dimension_names=dims,
                compressors=_compressors(),
                config=_NOT_EMPTY,
            )
        return count, str(digest)

    def make_room(self, layout: Layout, rows: int, rows_per_task: int) -> None:
        """Make the arrays of the results; a task's rows are one chunk."""
        group = self._open("r+")
        for name, column in layout.results.items():
            _make(group, name, column, layout.rows, rows, chunk_of(column, rows_per_task))

    def set_attributes(self, attributes: Mapping[str, Any], drop: Iterable[str] = ()) -> None:
        """Set attributes of the group, and delete those in `drop`."""
        kept = {key: value for key, value in self.attributes.items() if key not in drop}
        self._open("r+").attrs.put(dict(sorted(sealed({**kept, **attributes}, ATTRIBUTES).items())))
        sync_tree(self.path / META)

    def sync(self) -> None:
        """Have everything written so far on disk."""
        sync_tree(self.path)

    def entries(self) -> Entries:
        """What is recorded of every file that is there, apart from the group's own metadata and the journal."""
        files = (p.relative_to(self.path) for p in self.path.rglob("*") if p.is_file())
        chosen = (p.as_posix() for p in files if p.parts[0] not in (FOLDER, META) and p.suffix != ".partial")
        return entries_of(self.path, chosen)

    # Tasks

    def read_rows(self, names: Iterable[str], begin: int, end: int, files: Entries) -> dict[str, Array]:
        """Rows of some columns.

        Raises:
            StoreError: a file that is not as recorded.
        """
        from fastism_compiler.runs.reading import Arrays  # zarr is an extra, and this module is imported without it

        arrays = Arrays(self.path, {}, files)
        return {name: arrays[name][begin:end] for name in names}

    def write_rows(self, task: int, begin: int, arrays: Mapping[str, Array]) -> dict[str, str]:
        """Write and sync the results of one task; return what is recorded of its files."""
        group, files = self._open("r+"), []
        for name, values in arrays.items():
            array = group[name].with_config(_NOT_EMPTY)
            array[begin : begin + len(values)] = values
            grid = [-(-extent // chunk) for extent, chunk in zip(array.shape[1:], array.chunks[1:], strict=True)]
            places = product([task], *map(range, grid))
            files += [f"{name}/{array.metadata.encode_chunk_key(place)}" for place in places]
            sync_tree(self.path / name / "c" / str(task))
            sync(self.path / name / "c")
        return entries_of(self.path, files)

    def finish(self, attributes: Mapping[str, Any]) -> None:
        """Delete what crashes left behind, and mark the store complete with these attributes."""
        for partial in self.path.rglob("*.partial"):
            partial.unlink(missing_ok=True)
        self.set_attributes(attributes)

    def _open(self, mode: str) -> Any:
        return self._zarr.open_group(str(self.path), mode=mode, zarr_format=3)

    def _clear(self, names: set[str]) -> None:
        """Delete an input that was not read to its end: entries of these names, and arrays of other settings."""
        entries = [e for e in self.path.iterdir() if e.name != FOLDER]
        for entry in entries:
            unfinished = entry.name.startswith(META) or entry.name.endswith(".partial")
            if not (entry.name in names or unfinished or _is_array(entry)):
                raise StoreError("the output holds something else; move it, or choose another output", got=str(entry))
        for entry in entries:
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()


def _is_array(folder: Path) -> bool:
    """Whether this is a zarr array; a group may be another store."""
    try:
        return bool(read_object(folder / META).get("node_type") == "array")
    except (FileNotFoundError, NotADirectoryError, StoreError):
        return False


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
        compressors=_compressors(),
    )


def _compressors() -> tuple[Any, ...]:
    """Zstandard as in zarr's default, then a checksum of the compressed bytes."""
    from zarr.codecs import Crc32cCodec, ZstdCodec  # zarr is an extra

    return ZstdCodec(level=0, checksum=False), Crc32cCodec()
