"""Errors in the content of files, and the choice between stopping at them and counting them."""

from __future__ import annotations

import os
from collections import Counter
from tempfile import SpooledTemporaryFile
from typing import Any
from weakref import finalize

from fastism_compiler.errors import InputError

_IN_MEMORY = 1 << 20
"""Up to so many bytes, the table of records left out is kept in memory."""
_LONGEST = 200
"""Characters of a file that a message quotes at most."""


class FileError(InputError):
    """Something in a file that cannot be read as what it should be.

    Args:
        path: the file.
        rule: the rule that was broken.
        line: 1-based line (or a record such as `[3]`), if the fault has a place.
        expected: what the rule asks for.
        got: what the file holds there.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        rule: str,
        *,
        line: int | str | None = None,
        expected: Any = None,
        got: Any = None,
    ) -> None:
        where = "" if line is None else f":{line}" if isinstance(line, int) else str(line)
        super().__init__(f"{os.fspath(path)}{where}: {rule}", expected=expected, got=_shortened(got))
        self.path, self.line, self.fault = os.fspath(path), line, rule

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (self.path, self.fault, self.line, self.expected, self.got)


def _shortened(got: Any) -> Any:
    """`got`, or its first characters: a file may hold a very long text."""
    text = "" if got is None else str(got)
    return got if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text)} characters)"


def _rebuilt(path: str, rule: str, line: int | str | None, expected: Any, got: Any) -> FileError:
    return FileError(path, rule, line=line, expected=expected, got=got)


class Refusals:
    """What to do with a record that cannot be scored: raise, or leave it out and count it.

    Readers call it with the error and go on with the next record if it returns.

    Attributes:
        counts: records left out, by the rule they broke.
        first: the first message of each rule.
        warnings: what is scored, but may be a mistake.
        left_out: a line for every record left out, between tabs: file, line, rule, and what stands there; on disk,
            once there are many.
    """

    def __init__(self, skip: bool = False) -> None:
        self.skip = skip
        self.counts: Counter[str] = Counter()
        self.first: dict[str, str] = {}
        self.warnings: list[str] = []
        self.left_out: Any = SpooledTemporaryFile(  # noqa: SIM115 (it is there as long as this is)
            _IN_MEMORY, "w+", encoding="utf-8", errors="backslashreplace"
        )
        finalize(self, self.left_out.close)

    def __call__(self, error: FileError) -> None:
        """Raise `error`, or count it.

        Raises:
            FileError: unless records may be skipped.
        """
        if not self.skip:
            raise error
        self.leave_out(error)

    def leave_out(self, error: FileError) -> None:
        """Count `error`, even where records may not be skipped: of a record that is right, but not asked for."""
        self.counts[error.fault] += 1
        self.first.setdefault(error.fault, str(error).replace("\n", "; "))
        cells = (error.path, error.line or "", error.fault, error.got or "")
        self.left_out.write("\t".join(" ".join(str(cell).split()) for cell in cells) + "\n")
