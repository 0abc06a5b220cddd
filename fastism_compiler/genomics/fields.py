"""Fields of text files: whole numbers, and names that are safe to print and to write into other files."""

from __future__ import annotations

import os
import re
import unicodedata
from typing import Any

from fastism_compiler.genomics.errors import FileError

_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
"""Python would read 1_000 and digits of other scripts too, and fails on more than 4,300 digits."""
_FORMULA = ("=", "+", "-", "@")


def whole_number(text: str) -> int | None:
    """A whole number of at most 18 digits; None for anything else."""
    return int(text) if _WHOLE.fullmatch(text) else None


def index_number(text: str) -> int | None:
    """A whole number without a sign; None for anything else."""
    return None if text[:1] in ("+", "-") else whole_number(text)


def check_name(path: str | os.PathLike[str], line: int | str, name: str) -> str:
    """Return a name, unless it has a character that moves the cursor, colours a terminal or ends a line.

    Raises:
        FileError: it has one.
    """
    if not name.isprintable():
        wrong = [c for c in name if unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp")]
        if wrong:
            raise FileError(path, "a name holds a control character", line=line, got=f"{wrong[0]!r} in {name[:60]!r}")
    return name


def table_cell(value: Any) -> str:
    """A value for a tab-separated file; a text that a spreadsheet would run as a formula gets an apostrophe in front.

    Numbers stay as they are, and so does a `+` or `-` alone (a strand).
    """
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in _FORMULA and len(text) > 1 else text


def printable(text: str) -> str:
    """A text for a terminal: control characters as Python escapes, except the ends of lines and tabs."""
    if text.isprintable():
        return text
    kept = ("\n", "\t")
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)
