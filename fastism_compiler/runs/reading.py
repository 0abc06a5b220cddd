"""Reading the arrays of a store: every file is compared with what the store records of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr
from zarr.storage import LocalStore

from fastism_compiler.runs.errors import StoreError
from fastism_compiler.runs.layout import Array
from fastism_compiler.runs.record import Entries, damaged, fault_of

_ZARR_FAILS = (ValueError, KeyError, TypeError, RuntimeError, AttributeError, OSError)
"""What zarr and its codecs raise for metadata or chunks that they cannot read."""


class CheckedStore(LocalStore):
    """A zarr store that hands out only files that are as recorded. It is read-only.

    Args:
        root: folder of the store.
        entries: what is recorded; other files are handed out as they are.
        read_only: zarr asks for it; True.

    Raises:
        StoreError: on reading a recorded file that is missing or damaged.
    """

    def __init__(self, root: Path | str, *, entries: Entries, read_only: bool = True) -> None:
        super().__init__(root, read_only=read_only)
        self._entries = entries

    def with_read_only(self, read_only: bool = False) -> Self:
        """The same store; zarr calls it when it opens one."""
        return type(self)(self.root, entries=self._entries, read_only=read_only)

    async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
        """The content of a file; None where nothing is recorded and nothing is there."""
        value = await super().get(key, prototype, byte_range)
        if key in self._entries and byte_range is None:
            await asyncio.to_thread(self._check, key, value)
        return value

    def get_sync(self, key: str, *, prototype: Any = None, byte_range: Any = None) -> Any:
        """The same, for versions of zarr that read without asyncio."""
        value = super().get_sync(key, prototype=prototype, byte_range=byte_range)
        if key in self._entries and byte_range is None:
            self._check(key, value)
        return value

    def _check(self, key: str, value: Any) -> None:
        fault = fault_of(None if value is None else value.as_buffer_like(), self._entries[key])
        if fault is not None:
            raise damaged(self.root / key, fault)


class StoredArray:
    """One array of a store, read by index as zarr arrays are.

    Attributes:
        shape: of the array.
        chunks: shape of its chunks.
    """

    def __init__(self, array: Any, path: Path) -> None:
        self._array, self._path = array, path
        self.shape: tuple[int, ...] = array.shape
        self.chunks: tuple[int, ...] = array.chunks

    def __getitem__(self, index: Any) -> Array:
        try:
            return np.asarray(self._array[index])
        except StoreError:
            raise
        except _ZARR_FAILS as error:
            raise damaged(self._path, f"a chunk cannot be decoded: {error}") from error


class Arrays:
    """The arrays of a store, by name.

    Args:
        path: folder of the store.
        attributes: of its group.
        entries: what is recorded of its files; empty for stores of earlier versions.

    Attributes:
        attrs: its attributes.

    Raises:
        StoreError: no zarr group, or a damaged one.
    """

    def __init__(self, path: Path, attributes: Mapping[str, Any], entries: Entries) -> None:
        self.path, self.attrs = path, dict(attributes)
        try:
            self._group: Any = zarr.open_group(CheckedStore(path, entries=entries), mode="r", zarr_format=3)
        except StoreError:
            raise
        except _ZARR_FAILS as error:
            raise damaged(path / "zarr.json", error) from error

    def __contains__(self, name: str) -> bool:
        return self._array(name) is not None

    def __getitem__(self, name: str) -> StoredArray:
        array = self._array(name)
        if array is None:
            raise damaged(self.path / name, "missing")
        return StoredArray(array, self.path / name)

    def _array(self, name: str) -> Any:
        """The zarr array; None where there is none."""
        try:
            return self._group[name]
        except KeyError:
            if not (self.path / name / "zarr.json").exists():
                return None
            raise damaged(self.path / name / "zarr.json", "no metadata of an array") from None
        except StoreError:
            raise
        except _ZARR_FAILS as error:
            raise damaged(self.path / name / "zarr.json", error) from error
