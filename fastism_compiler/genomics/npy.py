"""npy and npz files: the headers of arrays are read and checked before memory is allocated for them."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.sources import Source

_RULE = "not a readable npy or npz file of numbers"
_ENDING = ".npy"


@dataclass(frozen=True, slots=True)
class Head:
    """What an array says about itself: its shape, and the dtype of its numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def read_heads(source: Source) -> dict[str, Head]:
    """The arrays of a file by name; the one of an npy file is called `""`.

    Raises:
        FileError: no arrays, or some that are not as large as they say.
    """
    with _explained(source):
        if not _is_zip(source):
            with source.local.open("rb") as file:
                return {"": _head(file, source.local.stat().st_size)}
        heads = {}
        with zipfile.ZipFile(source.local) as archive:
            for entry in archive.infolist():
                name = entry.filename.removesuffix(_ENDING)
                if name in heads:
                    raise ValueError(f"two arrays are called {name!r}")
                if entry.filename.endswith(_ENDING):
                    with archive.open(entry) as member:
                        heads[name] = _head(member, entry.file_size)
    if not heads:
        raise FileError(source, "the npz file holds no arrays")
    return heads


def load_arrays(source: Source, names: Sequence[str]) -> list[npt.NDArray[Any]]:
    """Load arrays of a file whose heads were read; the array of an npy file is memory-mapped.

    Raises:
        FileError: a damaged file, or arrays that memory does not hold.
    """
    with _explained(source):
        loaded = np.load(source.local, mmap_mode="r", allow_pickle=False)
        return [loaded] if isinstance(loaded, np.ndarray) else [loaded[name] for name in names]


@contextmanager
def _explained(source: Source) -> Iterator[None]:
    try:
        yield
    except FileError:
        raise
    except MemoryError as error:
        raise FileError(
            source, "the arrays do not fit into memory", expected="an npy file, or less", got=error
        ) from error
    except Exception as error:  # numpy, zipfile and the parser of headers raise many kinds
        raise FileError(source, _RULE, got=error) from error


def _is_zip(source: Source) -> bool:
    return source.first(2) == b"PK"


def _head(file: IO[bytes], size: int) -> Head:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"npy version {version}")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise ValueError("objects, not numbers")
    if min(shape, default=0) < 0:
        raise ValueError(f"a shape of {shape}")
    need = file.tell() + prod(shape) * dtype.itemsize
    if size != need:
        raise ValueError(f"{size} bytes, where {need} are needed for {list(shape)}")
    return Head(shape, dtype)
