"""One-hot (or token) arrays in npz and npy files, with the model's other inputs beside them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastism_compiler.genomics.encoding import Encoding
from fastism_compiler.genomics.errors import FileError, Refusals
from fastism_compiler.genomics.npy import Head, load_arrays, read_heads
from fastism_compiler.genomics.records import Record
from fastism_compiler.genomics.sources import Source, opened

Array = npt.NDArray[Any]


class OtherInput(NamedTuple):
    """An input beside the sequence.

    Attributes:
        shape: per sequence.
        dtype: what its numbers are kept in.
        tokens: rows of the Embedding that reads it; None: any number is allowed.
    """

    shape: tuple[int, ...]
    dtype: str
    tokens: int | None = None


_NPY, _NPZ = b"\x93NUMPY", (b"PK\x03\x04", b"PK\x05\x06")
_SUFFIXES = (".npy", ".npz")


def is_array_file(source: Source) -> bool:
    """Whether a file holds arrays, by its name or by how it begins."""
    start = source.first(len(_NPY))
    return source.path.suffix.lower() in _SUFFIXES or start == _NPY or start.startswith(_NPZ)


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
        refuse: called with the error of each sequence that cannot be used.
        sequence: name of the sequence input.
        others: the other inputs, by name.

    Raises:
        FileError: no arrays, a wrong name, dtype, shape or count; and, unless
            sequences may be skipped, one that is not one-hot, NaN, or a number
            that an input cannot hold or has no token for.
    """
    with opened(path) as source:
        with source.read():  # only hashed here; numpy and zipfile read it in another order
            pass
        yield from _records(source, encoding, refuse, sequence, others)
        source.check_unchanged()


def _records(
    path: Source, encoding: Encoding, refuse: Refusals, sequence: str, others: Mapping[str, OtherInput]
) -> Iterator[Record]:
    heads = read_heads(path)
    own = _named(path, heads, sequence, alone=not others)
    shape = (encoding.length,) if encoding.tokens else (encoding.length, len(encoding.numbers))
    count = _check_shape(path, sequence, heads[own], shape)
    for name, other in others.items():
        if name not in heads:
            raise FileError(path, "an input of the model is missing", expected=[sequence, *others], got=list(heads))
        if _check_shape(path, name, heads[name], other.shape) != count:
            raise FileError(
                path, "the inputs hold different numbers of sequences", expected=count, got=heads[name].shape[0]
            )
    x, *rest = load_arrays(path, [own, *others])
    inputs = dict(zip(others, rest, strict=True))
    for i in range(len(x)):
        codes, wrong = encoding.decode(np.asarray(x[i]))
        error = _fault(path, i, x[i], wrong, {n: (values[i], others[n]) for n, values in inputs.items()})
        if error is None and not encoding.takes_unknown and (codes == 255).any():
            error = FileError(path, "an unknown letter, and the model reads tokens without one for it", line=f"[{i}]")
        if error is not None:
            refuse(error)
            continue
        yield Record(f"sequence_{i}", codes, inputs={name: values[i] for name, values in inputs.items()})


def _named(path: Source, heads: Mapping[str, Head], name: str, alone: bool) -> str:
    """The name of the sequence's array."""
    if name in heads:
        return name
    if alone and len(heads) == 1:
        return next(iter(heads))
    raise FileError(path, "no array is called like the sequence input", expected=repr(name), got=sorted(heads))


def _check_shape(path: Source, name: str, head: Head, shape: tuple[int, ...]) -> int:
    """The number of sequences in an array of this shape per sequence."""
    if head.dtype.kind not in "biuf":
        raise FileError(
            path, "an array does not hold numbers", expected="bool, integer or float", got=f"{name}: {head.dtype}"
        )
    if head.shape[1:] != shape or len(head.shape) != len(shape) + 1:
        expected = "[" + ", ".join(["sequences", *map(str, shape)]) + "]"
        raise FileError(path, "an array has the wrong shape", expected=expected, got=f"{name}: {list(head.shape)}")
    if head.shape[0] == 0:
        raise FileError(path, "the file holds no sequence", got=f"{name}: {list(head.shape)}")
    return head.shape[0]


def _lost(values: Array, other: OtherInput) -> Array:
    """The values (all finite) that the dtype of an input cannot hold, or that are no token."""
    kind, wide = np.dtype(other.dtype).kind, values.astype(np.float64) if values.dtype.kind == "f" else values
    held = np.ones(values.shape, bool)
    if kind in "iu":
        bounds = np.iinfo(other.dtype)
        held = (wide >= bounds.min) & (wide <= bounds.max) & (wide == np.floor(wide))
    elif kind == "f":
        held = np.abs(wide) <= np.finfo(other.dtype).max
    if other.tokens is not None:
        whole = np.trunc(wide)
        held &= (whole >= -other.tokens) & (whole < other.tokens)
    return np.asarray(values)[~held]


def _fault(
    path: Source, i: int, x: Array, wrong: npt.NDArray[np.bool_], inputs: Mapping[str, tuple[Array, OtherInput]]
) -> FileError | None:
    """What is wrong with sequence `i`."""
    for name, values in {"": x, **{name: values for name, (values, _) in inputs.items()}}.items():
        if not np.isfinite(values).all():
            return FileError(
                path, "arrays hold finite numbers", line=f"[{i}]{name and ' ' + name}", got="NaN or infinity"
            )
    for name, (values, other) in inputs.items():
        lost = _lost(values, other)
        if len(lost):
            tokens = "" if other.tokens is None else f", tokens 0 .. {other.tokens - 1}"
            return FileError(
                path,
                "an input of the model cannot hold a number",
                line=f"[{i}] {name}",
                expected=f"{other.dtype}{tokens}",
                got=lost[0],
            )
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
