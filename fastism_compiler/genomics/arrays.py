"""One-hot (or token) arrays in npz and npy files, with the model's other inputs beside them."""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastism_compiler.genomics.encoding import Encoding
from fastism_compiler.genomics.errors import FileError, Refusals
from fastism_compiler.genomics.records import Record
from fastism_compiler.genomics.text import check_file

Array = npt.NDArray[Any]


class OtherInput(NamedTuple):
    """An input beside the sequence: its shape per sequence, and the dtype its numbers are kept in."""

    shape: tuple[int, ...]
    dtype: str


def read_arrays(
    path: str | os.PathLike[str],
    encoding: Encoding,
    refuse: Refusals,
    sequence: str,
    others: Mapping[str, OtherInput],
) -> Iterator[Record]:
    """The sequences of an array file; record `i` is called `sequence_i`.

    Args:
        path: npy, or npz: one array, or one for each input by its name.
        encoding: the model's letters and length.
        refuse: called with each sequence that is not one-hot.
        sequence: name of the sequence input.
        others: the other inputs, by name.

    Raises:
        FileError: no arrays, a wrong name, dtype, shape or count; and, unless
            sequences may be skipped, one that is not one-hot, NaN, or a number
            that an input of whole numbers cannot hold.
    """
    arrays = _load(check_file(path))
    x = _sequence(path, arrays, sequence, alone=not others)
    _check_shape(path, sequence, x, (encoding.length,) if encoding.tokens else (encoding.length, len(encoding.numbers)))
    inputs = {}
    for name, (shape, _) in others.items():
        if name not in arrays:
            raise FileError(path, "an input of the model is missing", expected=[sequence, *others], got=list(arrays))
        inputs[name] = arrays[name]
        _check_shape(path, name, inputs[name], shape)
        if len(inputs[name]) != len(x):
            raise FileError(
                path, "all inputs hold the same number of sequences", expected=len(x), got=len(inputs[name])
            )
    for i in range(len(x)):
        codes, wrong = encoding.decode(np.asarray(x[i]))
        error = _fault(path, i, x[i], wrong, {n: (values[i], others[n].dtype) for n, values in inputs.items()})
        if error is None and not encoding.takes_unknown and (codes == 255).any():
            error = FileError(path, "an unknown letter, and the model reads tokens without one for it", line=f"[{i}]")
        if error is not None:
            refuse(error)
            continue
        yield Record(f"sequence_{i}", codes, inputs={name: values[i] for name, values in inputs.items()})


def _load(path: Path) -> dict[str, Array]:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
        arrays = {"": loaded} if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, KeyError) as error:
        raise FileError(path, "not a readable npy or npz file of numbers", got=error) from error
    if not arrays:
        raise FileError(path, "the npz file holds no arrays")
    return arrays


def _sequence(path: str | os.PathLike[str], arrays: dict[str, Array], name: str, alone: bool) -> Array:
    if name in arrays:
        return arrays[name]
    if alone and len(arrays) == 1:
        return next(iter(arrays.values()))
    raise FileError(path, "no array is called like the sequence input", expected=repr(name), got=sorted(arrays))


def _check_shape(path: str | os.PathLike[str], name: str, x: Array, shape: tuple[int, ...]) -> None:
    if x.dtype.kind not in "biuf":
        raise FileError(path, "arrays hold numbers", expected="bool, integer or float", got=f"{name}: {x.dtype}")
    if x.shape[1:] != shape or x.ndim != len(shape) + 1:
        expected = "[" + ", ".join(["sequences", *map(str, shape)]) + "]"
        raise FileError(path, "an array has the wrong shape", expected=expected, got=f"{name}: {list(x.shape)}")
    if len(x) == 0:
        raise FileError(path, "the file holds no sequence", got=f"{name}: {list(x.shape)}")


def _lost(values: Array, dtype: str) -> Array:
    """Those of some numbers that an integer dtype does not hold."""
    if not dtype or np.dtype(dtype).kind not in "iu":
        return values[:0].ravel()
    bounds, values = np.iinfo(dtype), values.astype(np.float64) if values.dtype.kind == "f" else values
    held = (values >= bounds.min) & (values <= bounds.max) & (values == np.floor(values))
    return np.asarray(values)[~held]


def _fault(
    path: str | os.PathLike[str],
    i: int,
    x: Array,
    wrong: npt.NDArray[np.bool_],
    inputs: Mapping[str, tuple[Array, str]],
) -> FileError | None:
    """What is wrong with sequence `i`."""
    for name, (values, dtype) in {"": (x, ""), **inputs}.items():
        line = f"[{i}]{name and ' ' + name}"
        if not np.isfinite(values).all():
            return FileError(path, "arrays hold finite numbers", line=line, got="NaN or infinity")
        lost = _lost(values, dtype)
        if len(lost):
            return FileError(path, "an input of the model holds other numbers", line=line, expected=dtype, got=lost[0])
    if wrong.any():
        position = int(np.flatnonzero(wrong)[0])
        return FileError(
            path,
            "a position is one letter, or zeros for an unknown one",
            line=f"[{i}, {position}]",
            expected="one-hot",
            got=np.asarray(x[position]).tolist(),
        )
    return None
