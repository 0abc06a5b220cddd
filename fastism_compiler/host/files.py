"""Files that are either there in full or not at all, even after a crash or on a full disk.

A file is written under a hidden name in its folder, brought to the disk, read
back, and only then renamed. The hidden name holds the machine and the process
number of its writer, so that a later run can remove what a killed one left.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastism_compiler.ir.errors import OptionError

_NUMBERS = itertools.count()
_ABANDONED_S = 86_400
"""A partial file of another machine counts as abandoned when nothing has been written to it for a day."""
_LONGEST = 100
"""Letters of the target's name in a partial name: file systems allow 255 in all."""


def beside(path: Path, name: str) -> Path:
    """A path in the same folder.

    Raises:
        OptionError: `path` is a folder without a name of its own (`.`, `/`), beside which nothing can stand.
    """
    if not path.name:
        raise OptionError("an output needs a name", expected="a new file or folder, not this one", got=repr(str(path)))
    return path.with_name(name)


def partial_path(path: Path) -> Path:
    """A new hidden path beside `path`, which tells who writes there."""
    return beside(path, f".{path.name[:_LONGEST]}.{_machine()}.{os.getpid()}.{next(_NUMBERS)}.partial")


def remove_stale(path: Path) -> None:
    """Remove the partial files and folders that killed writers of `path` have left beside it."""
    pattern = re.compile(rf"\.{re.escape(path.name[:_LONGEST])}\.([^.]+)\.(\d+)\.\d+\.partial")
    for entry in path.parent.iterdir() if path.parent.is_dir() else ():
        match = pattern.fullmatch(entry.name)
        if match is not None and _is_stale(entry, match[1], int(match[2])):
            _remove(entry)


@contextmanager
def partial_of(path: Path) -> Iterator[Path]:
    """A partial path for `path`, whose folder is made; what is left at the partial path is removed in the end.

    Raises:
        OSError: the folder cannot be made or read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_stale(path)
    partial = partial_path(path)
    try:
        yield partial
    finally:
        _remove(partial)


def put_in_place(partial: Path, path: Path) -> None:
    """Rename a file or a folder of files, which are on disk already; files go into a folder that exists already.

    Raises:
        OSError: it cannot be renamed.
    """
    if partial.is_dir() and path.is_dir():
        for entry in sorted(partial.iterdir()):
            entry.replace(path / entry.name)
        sync(path)
    else:
        partial.replace(path)
    sync(path.parent)


@contextmanager
def whole_file(path: Path, check: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """A path to write to. It becomes `path` when it is written, on disk, and has been read back.

    Args:
        path: the target; an older file is replaced.
        check: reads the file back; raises OSError where it is not whole.

    Raises:
        OSError: the file cannot be written, or is not whole.
    """
    with partial_of(path) as partial:
        yield partial
        sync(partial)
        if check is not None:
            check(partial)
        put_in_place(partial, path)


def write_text(path: Path, pieces: Iterable[str]) -> None:
    """Write text to a (partial) path, and compare the length of the file with what was written.

    Raises:
        OSError: the text cannot be written.
    """
    with path.open("w", encoding="utf-8") as file:
        file.writelines(pieces)
        file.flush()
        written = file.tell()
    check_ending(path, b"\n", written)


def check_ending(path: Path, ending: bytes, size: int | None = None) -> None:
    """Refuse a file that does not end like this, or has another size.

    Raises:
        OSError: such a file.
    """
    there = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(there - len(ending), 0))
        whole = file.read() == ending or there == 0 == size
    if not whole or size not in (None, there):
        raise not_whole(path)


def not_whole(path: Path, why: object = "its end is missing") -> OSError:
    """The error for a file that does not read back as it was written."""
    return OSError(errno.EIO, f"the written file does not read back: {why}", str(path))


def check_room(folder: Path, size: int) -> None:
    """Refuse to write where there is not enough room.

    Args:
        folder: where to write; it exists.
        size: bytes that are needed at least.

    Raises:
        OSError: less is free.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {size:,} bytes are needed, {free:,} are free")


def write_json(path: Path, data: Any, *, sort: bool = True) -> None:
    """Write JSON: on disk, then renamed. Partial files of killed writers stay.

    Args:
        path: where to; the folder exists.
        data: plain data.
        sort: sort keys, at every level.
    """
    partial = partial_path(path)
    try:
        with partial.open("w", encoding="utf-8") as file:
            json.dump(data, file, indent=2, sort_keys=sort)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        put_in_place(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have a file or folder on disk before going on."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(path: Path) -> None:
    """The same for a file, or a folder and everything in it; a path that does not exist is ignored."""
    if path.is_dir():
        for entry in path.iterdir():
            sync_tree(entry)
    if path.exists():
        sync(path)


def _machine() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:60] or "machine"


def _is_stale(partial: Path, machine: str, process: int) -> bool:
    if machine != _machine():
        try:
            return time.time() - partial.stat().st_mtime > _ABANDONED_S
        except FileNotFoundError:
            return False
    try:
        os.kill(process, 0)  # sends nothing: asks whether the process exists
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
