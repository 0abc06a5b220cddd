"""A mark in files that this package has written: a digest of all but the mark.

It distinguishes files that are unchanged since from all others: the same command can be run again, and nothing of the
user's is replaced. Code that writes a file puts `ROOM` where its format allows a comment.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from pathlib import Path

from fastism_compiler.ir.errors import OptionError

_NAME, _DIGITS = "fastism-compiler", 64
_EMPTY = b"0" * _DIGITS
ROOM = f"{_NAME} {_EMPTY.decode()}"
_MARK = re.compile(rf"{_NAME} ([0-9a-f]{{{_DIGITS}}})".encode())
_PNG, _PNG_TEXT = b"\x89PNG", b"tEXt"


def mark(path: Path) -> None:
    """Fill in the mark of a file that has `ROOM` for one.

    Raises:
        OSError: the file cannot be read or written.
    """
    content = path.read_bytes()
    begin = content.index(ROOM.encode()) + len(_NAME) + 1
    path.write_bytes(_with(content, begin, _digest(content)))


def is_marked(path: Path) -> bool:
    """Whether a file is, byte for byte, as it was marked.

    Raises:
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    found = _MARK.search(content)
    return found is not None and _digest(_with(content, found.start(1), _EMPTY)) == found[1]


def check_own(path: Path, *, overwrite: bool = False) -> None:
    """Refuse to replace a file that this package has not written, or that somebody has changed since.

    Args:
        path: of a file to be written.
        overwrite: replace it all the same.

    Raises:
        OptionError: such a file, or something that is no file.
        OSError: it cannot be read.
    """
    if not path.exists():
        return
    if not path.is_file():
        raise OptionError("the output is a file", got=f"the {'directory' if path.is_dir() else 'device'} {path}")
    if not overwrite and not is_marked(path):
        raise OptionError(
            "only what this package has written is replaced, and only if nobody has changed it since",
            expected="a new path, or --overwrite (overwrite=True)",
            got=str(path),
        )


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def _with(content: bytes, begin: int, digits: bytes) -> bytes:
    """The content with other digits in its mark, which begin here."""
    before, after = content[:begin] + digits, content[begin + _DIGITS :]
    if content.startswith(_PNG):  # a chunk of a PNG ends with a checksum
        chunk = before[before.rindex(_PNG_TEXT) :]
        after = zlib.crc32(chunk).to_bytes(4, "big") + after[4:]
    return before + after
