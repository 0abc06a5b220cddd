"""HDF5 in the layout of basenji_sat_bed: `seqs`, `scores`, and coordinates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fastism_compiler.extras import missing_extra
from fastism_compiler.formats.source import Array, Source
from fastism_compiler.host.files import not_whole
from fastism_compiler.ir.errors import OptionError

_TAKEN = {"seqs", "chr", "start", "end", "strand"}


def write_hdf5(source: Source, path: Path, track: str | None) -> None:
    """One HDF5 file.

    `seqs` bool `[N, P, C]`; `scores` float16 `[N, P, C, T]`, T the numbers of
    the output (a dataset for each output, by its name, where there are
    several); `chr`, `start`, `end`, `strand` of the scanned positions on the
    plus strand. Scores stand as the store has them, not centred.

    Raises:
        OptionError: h5py is not installed, a store of variants or ranges, an output that
            is called like another dataset, or scores that float16 cannot hold.
    """
    library = _library()
    positions = source.need_letters("this HDF5 layout")
    chosen, labels = _datasets(source, track)
    taken = sorted(_TAKEN.intersection(labels))
    if taken:
        raise OptionError("this HDF5 layout has another dataset of this name; choose one output, as track", got=taken)
    count, letters = len(positions), len(source.letters)
    with library.File(path, "w") as file:
        seqs = file.create_dataset("seqs", (source.rows, count, letters), "bool")
        for label, (_, name, index) in zip(labels, chosen, strict=True):
            numbers = len(source.tracks(name)) if not index else 1
            scores = file.create_dataset(label, (source.rows, count, letters, numbers), "float16")
            for rows in source.pieces():
                values = source.read_track(name, index, rows)
                scores[rows] = _half(values).reshape(-1, count, letters, numbers)
        places = []
        for rows in source.pieces():
            seqs[rows] = source.scanned_letters(rows, positions)[1]
            places += [(c.encode(), at.min(), at.max() + 1, s.encode()) for c, at, s in source.places(rows, positions)]
        chrom, start, end, strand = zip(*places, strict=True)
        file["chr"], file["strand"] = np.array(chrom, "S"), np.array(strand, "S")
        file["start"], file["end"] = np.array(start, np.int64), np.array(end, np.int64)


def check_hdf5(source: Source, path: Path) -> None:
    """Read the shape and the last row of every dataset back.

    Raises:
        OSError: the file is not whole.
    """
    library = _library()
    with library.File(path, "r") as file:
        for name in ("seqs", "chr", "start", "end", "strand", *(n for n in file if n not in _TAKEN)):
            try:
                shape = file[name].shape
                _ = file[name][-1]
            except (KeyError, RuntimeError) as error:
                raise not_whole(path, error) from error
            if shape[0] != source.rows:
                raise not_whole(path, f"{name} has {shape[0]} rows")


def hdf5_size(source: Source, track: str | None) -> int:
    """Bytes that the datasets take; they are not compressed."""
    chosen, _ = _datasets(source, track)
    numbers = sum(len(source.tracks(name)) if not index else 1 for _, name, index in chosen)
    return source.rows * len(source.need_letters("this HDF5 layout")) * len(source.letters) * (1 + 2 * numbers)


def _datasets(source: Source, track: str | None) -> tuple[list[tuple[str, str, tuple[int, ...]]], list[str]]:
    """`(track, output, index)` of each dataset of scores, and what the datasets are called."""
    chosen: list[tuple[str, str, tuple[int, ...]]] = [("", name, ()) for name in source.outputs]
    if track:
        chosen = [(track, *source.track(track))]
    return chosen, ["scores"] if len(chosen) == 1 else [name for _, name, _ in chosen]


def _library() -> Any:
    try:
        # an extra
        import h5py
    except ImportError as error:
        raise missing_extra("HDF5", "h5py", "genomics") from error
    return h5py


def _half(values: Array) -> Array:
    largest = float(np.nanmax(np.abs(values), initial=0))
    if largest > float(np.finfo(np.float16).max):
        raise OptionError("this HDF5 layout holds float16", expected="scores up to 65504", got=largest)
    return values.astype(np.float16)
