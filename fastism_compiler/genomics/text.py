"""Text files, plain or gzipped (bgzip too), line by line; what is no text is refused by its place."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from fastism_compiler.genomics.errors import FileError

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


def check_file(path: str | os.PathLike[str]) -> Path:
    """A file that exists, is a file, can be read and is not empty.

    Raises:
        FileError: otherwise.
    """
    path = Path(path)
    if path.is_dir():
        raise FileError(path, "a file is needed", expected="a file", got="a folder")
    if not path.exists():
        raise FileError(path, "the file does not exist")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise FileError(path, "the file is empty")
    except OSError as error:
        raise FileError(path, "the file cannot be read", got=error.strerror) from error
    return path


def first_bytes(path: Path, count: int = 4) -> bytes:
    """How a file begins."""
    with path.open("rb") as file:
        return file.read(count)


def read_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Line numbers (from 1) and lines, without their ends (Unix or Windows).

    Raises:
        FileError: a missing, empty or unreadable file, one that is not UTF-8
            text, or a gzip file that is truncated or damaged.
    """
    path = check_file(path)
    number = 0
    try:
        with _open(path) as file:
            for raw in file:
                number += 1
                yield number, _decoded(path, number, raw)
    except EOFError as error:
        raise FileError(path, "the gzip file is truncated", line=number + 1) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileError(path, "the gzip file is damaged", line=number + 1, got=error) from error
    except OSError as error:
        raise FileError(path, "the file cannot be read", line=number + 1, got=error) from error
    if not number:
        raise FileError(path, "the file is empty")


def _open(path: Path) -> IO[bytes]:
    if first_bytes(path, 2) == _GZIP:
        return cast(IO[bytes], gzip.open(path, "rb"))
    return path.open("rb")


def _decoded(path: Path, number: int, raw: bytes) -> str:
    if number == 1 and raw.startswith(_BYTE_ORDER_MARKS):
        raise FileError(path, "the file must be UTF-8 text", line=1, got="UTF-16")
    if b"\x00" in raw:
        raise FileError(path, "the file must be text", line=number, got="binary data")
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise FileError(path, "the file must be UTF-8 text", line=number, got=f"byte {raw[error.start]:#x}") from error
