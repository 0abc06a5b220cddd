"""What is recorded of files: a size and a checksum for each, and a seal on the records themselves."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastism_compiler.runs.errors import DamagedError

SEAL = "checksum"
REPAIR = "run the same scan or variants command again, which computes what is damaged anew"

Entries = Mapping[str, str]
"""Files by their path in the store: size in bytes, and CRC-32 in hexadecimal."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One file that is not as it was written.

    Attributes:
        file: its path in the store.
        fault: what is wrong with it.
    """

    file: str
    fault: str

    def __str__(self) -> str:
        return f"{self.file}: {self.fault}"


def damaged(path: object, fault: object) -> DamagedError:
    """The error for a file of a store that is damaged."""
    error = DamagedError("a file of the store is damaged or missing", expected=REPAIR, got=f"{path}: {fault}")
    error.fault = str(fault)
    return error


def entry_of(content: Any) -> str:
    """What is recorded of a file with this content (bytes, or a buffer)."""
    return f"{memoryview(content).nbytes} {zlib.crc32(content):08x}"


def entries_of(root: Path, files: Iterable[str]) -> dict[str, str]:
    """The entries of files below `root`, in order of their names.

    Raises:
        OSError: a file that cannot be read.
    """
    return {file: entry_of((root / file).read_bytes()) for file in sorted(files)}


def fault_of(content: Any, entry: str) -> str | None:
    """What is wrong with the content of a file (None: it is missing); None where it is as recorded."""
    if content is None:
        return "missing"
    found = entry_of(content)
    if found == entry:
        return None
    size, there = entry.partition(" ")[0], found.partition(" ")[0]
    return "the checksum does not match" if size == there else f"{there} bytes instead of {size}"


def compare(root: Path, entries: Entries, *, contents: bool) -> list[Damage]:
    """Files that are missing, or differ from what is recorded of them.

    Args:
        root: of the store.
        entries: what is recorded.
        contents: read the files; else only their sizes are compared.
    """
    found = []
    for file, entry in entries.items():
        fault = _fault_at(root / file, entry, contents)
        if fault is not None:
            found.append(Damage(file, fault))
    return found


def _fault_at(path: Path, entry: str, contents: bool) -> str | None:
    try:
        if contents:
            return fault_of(path.read_bytes(), entry)
        size, expected = path.stat().st_size, entry.partition(" ")[0]
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return None if str(size) == expected else f"{size} bytes instead of {expected}"


def sealed(content: Mapping[str, Any], keys: Collection[str] | None = None) -> dict[str, Any]:
    """The content with a checksum over these keys (default: all)."""
    rest = {key: value for key, value in content.items() if key != SEAL}
    return {**rest, SEAL: _checksum(rest, keys)}


def is_sealed(content: Mapping[str, Any], keys: Collection[str] | None = None) -> bool:
    """Whether the checksum fits the content."""
    rest = {key: value for key, value in content.items() if key != SEAL}
    return bool(content.get(SEAL) == _checksum(rest, keys))


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        DamagedError: no JSON, no object, or a file that cannot be read.
        FileNotFoundError: no such file.
    """
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(content, dict):
        raise damaged(path, "no JSON object")
    return content


def read_sealed(path: Path) -> dict[str, Any]:
    """A JSON object that `sealed` has made.

    Raises:
        DamagedError: it is damaged.
        FileNotFoundError: no such file.
    """
    content = read_object(path)
    if not is_sealed(content):
        raise damaged(path, "the checksum does not match")
    return content


def _checksum(content: Mapping[str, Any], keys: Collection[str] | None) -> str:
    chosen = {key: value for key, value in content.items() if keys is None or key in keys}
    return hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()
