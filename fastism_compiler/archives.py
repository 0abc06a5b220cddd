"""Zip archives that come from elsewhere: a limit on their unpacked size."""

from __future__ import annotations

import zipfile
from pathlib import Path

from fastism_compiler.ir.errors import FastISMError

MOST_EXPANSION = 50
"""An archive may unpack to this many times its own size. What Keras and this package write is not compressed."""
ALWAYS_ALLOWED = 256 << 20
"""Bytes that any archive may unpack to."""


def check_unpacked_size(archive: zipfile.ZipFile, path: Path, error: type[FastISMError]) -> None:
    """Refuse an archive that would unpack to far more than its own size; only its directory is read.

    Args:
        archive: the open archive.
        path: where it lies.
        error: what to raise.

    Raises:
        FastISMError: of the class `error`.
    """
    unpacked = sum(entry.file_size for entry in archive.infolist())
    limit = max(ALWAYS_ALLOWED, MOST_EXPANSION * path.stat().st_size)
    if unpacked > limit:
        raise error(
            "the file would unpack to far more than it holds; it is damaged, or made to fill memory or disk",
            expected=f"at most {limit:,} bytes",
            got=f"{path}: {unpacked:,} bytes",
        )
