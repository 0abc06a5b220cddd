"""The inputs of TF-MoDISco: one-hot sequences and hypothetical contributions, length last."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from fastism_compiler.formats.source import Array, Source
from fastism_compiler.host.files import not_whole
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.results.importance import mean_centred

FILES = ("ohe.npz", "shap.npz")


def write_modisco(source: Source, path: Path, track: str | None) -> None:
    """`ohe.npz` and `shap.npz` in a folder, each an array `arr_0` of `[N, C, P]`.

    Contributions are scores, centred over the letters of each position.

    Raises:
        OptionError: a store of variants or ranges, no single track, or scores that are no numbers.
    """
    positions = source.need_letters("TF-MoDISco")
    name, index = source.track(track)
    one_hot: list[Array] = []
    contributions: list[Array] = []
    for rows in source.pieces():
        scores = source.read_track(name, index, rows)
        if np.isnan(scores).any():
            raise OptionError("TF-MoDISco takes numbers", expected="every cell scored", got=f"NaN in rows {rows}")
        contributions.append(mean_centred(scores).swapaxes(1, 2).astype(np.float32))
        one_hot.append(source.scanned_letters(rows, positions)[1].swapaxes(1, 2).astype(np.int8))
    path.mkdir()
    for name, pieces in zip(FILES, (one_hot, contributions), strict=True):
        np.savez_compressed(path / name, np.concatenate(pieces))


def check_modisco(source: Source, path: Path) -> None:
    """Read both arrays back.

    Raises:
        OSError: they are not whole.
    """
    for name in FILES:
        try:
            with np.load(path / name) as file:
                shape = file["arr_0"].shape
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise not_whole(path / name, error) from error
        if shape[0] != source.rows:
            raise not_whole(path / name, f"{shape[0]} rows")
