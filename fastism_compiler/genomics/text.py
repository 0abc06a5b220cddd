"""Text files, plain or gzipped (bgzip too), line by line; errors name the line of what is no text."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.sources import GZIP, Source, opened

_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_LONGEST = 64 << 20
"""Bytes of a line at most, since it has to fit in memory; no record that can be scored is longer."""


def read_lines(path: str | os.PathLike[str]) -> Iterator[tuple[int, str]]:
    """Line numbers (from 1) and lines, without their ends (Unix or Windows).

    Args:
        path: the file, or an open `Source`.

    Raises:
        FileError: a missing, empty or unreadable file, one that is not UTF-8
            text, a gzip file that is cut short or damaged, or a file that
            changes while it is read.
    """
    number = 0
    try:
        with opened(path) as source:
            source.check_end()
            with _unpacked(source) as file:
                while raw := file.readline(_LONGEST):
                    number += 1
                    yield number, _decoded(path, number, raw)
    except EOFError as error:
        raise FileError(path, "the gzip file is cut short", line=number + 1) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise FileError(path, "the gzip file is damaged", line=number + 1, got=error) from error
    except OSError as error:
        raise FileError(path, "the file cannot be read", line=number + 1, got=error) from error
    if not number:
        raise FileError(path, "the file is empty")


@contextmanager
def _unpacked(source: Source) -> Iterator[IO[bytes]]:
    packed = source.first(2) == GZIP
    with source.read() as file:
        yield cast(IO[bytes], gzip.GzipFile(fileobj=file)) if packed else file


def _decoded(path: str | os.PathLike[str], number: int, raw: bytes) -> str:
    if number == 1 and raw.startswith(_BYTE_ORDER_MARKS):
        raise FileError(path, "the file is not UTF-8 text", line=1, got="UTF-16")
    if len(raw) == _LONGEST:
        raise FileError(path, "a line is too long", line=number, expected=f"less than {_LONGEST >> 20} MiB")
    if b"\x00" in raw:
        raise FileError(path, "the file is not text", line=number, got="binary data")
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise FileError(path, "the file is not UTF-8 text", line=number, got=f"byte {raw[error.start]:#x}") from error
