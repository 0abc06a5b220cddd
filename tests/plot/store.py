"""Small stores, written with zarr itself in the layout that a scan writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr

LENGTH, SEQUENCES = 12, 3
NAMES = ["first", "second", "chr2:5-17"]
POSITIONS = np.array([2, 3, 4, 6, 7, 8, 9])
"""Position 5 was not scanned."""


def write_store(path: Path, *, ranges: np.ndarray[Any, Any] | None = None, seed: int = 0, **attributes: Any) -> Path:
    """A store of two outputs: `scalar` (one number) and `head` (four); return its path."""
    rng = np.random.default_rng(seed)
    group = zarr.open_group(path, mode="w")
    group.attrs.update(
        {
            "format": "fastism-scan",
            "version": 1,
            "alphabet": "ACGT",
            "score": "delta",
            "model": {"name": "tiny & <small>", "digest": "0123"},
            "settings": {"letters": "dna", "rc": False},
            "outputs": ["scalar", "head"],
            **attributes,
        }
    )
    letters = rng.integers(0, 4, (SEQUENCES, LENGTH)).astype(np.uint8)
    letters[1, 4] = 255
    columns = len(POSITIONS) if ranges is None else len(ranges)
    cells = (SEQUENCES, columns, 4) if ranges is None else (SEQUENCES, columns)
    for name, out in (("scalar", (1,)), ("head", (4,))):
        scores = rng.normal(size=(*cells, *out)).astype(np.float32)
        if ranges is None:
            known = np.nonzero(letters[:, POSITIONS] < 4)
            scores[(*known, letters[:, POSITIONS][known])] = 0
            scores[0, 3, (letters[0, 6] + 1) % 4] = np.nan
        group[f"scores/{name}"] = scores
        group[f"reference/{name}"] = rng.normal(size=(SEQUENCES, *out)).astype(np.float32)
    group["sequence"] = letters
    if ranges is None:
        group["positions"] = POSITIONS.astype(np.int32)
    else:
        group["ranges"] = ranges.astype(np.int32)
    for key, values in (("name", NAMES), ("chrom", ["", "", "chr2"]), ("strand", ["+", "+", "-"])):
        strings = group.create_array(key, shape=(SEQUENCES,), dtype="string")
        strings[:] = np.array(values)
    group["start"], group["end"] = np.array([0, 0, 5]), np.array([12, 12, 17])
    return path
