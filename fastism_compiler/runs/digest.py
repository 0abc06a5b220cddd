"""Digests: of the rows that were read, and of a model."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.host.files import sha256


class Digest:
    """A SHA-256 of columns, batch after batch."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, batch: Mapping[str, npt.NDArray[Any]]) -> None:
        """Add some rows of every column."""
        for name, values in batch.items():
            self._sum.update(name.encode())
            if values.dtype == object:
                self._sum.update("\0".join(map(str, values)).encode())
            else:
                self._sum.update(np.ascontiguousarray(values).tobytes())

    def __str__(self) -> str:
        return self._sum.hexdigest()


def model_digest(model: Any) -> dict[str, str]:
    """What identifies a model: its name, and the SHA-256 of its file, or of its configuration and weights."""
    if isinstance(model, str | os.PathLike):
        return {"name": Path(model).name, "sha256": sha256(Path(model))}
    total = hashlib.sha256()
    total.update(repr(model.get_config()).encode())
    for weight in model.get_weights():
        total.update(np.ascontiguousarray(weight).tobytes())
    return {"name": str(model.name), "sha256": total.hexdigest()}
