"""Input files: a regular file must not change until it was read, and a pipe is copied to a temporary file first."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from fastism_compiler.genomics.errors import FileError

GZIP = b"\x1f\x8b"
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every complete bgzip file."""
_PIECE = 1 << 20
_REFUSED = {stat.S_IFDIR: "a folder", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket"}


class Source:
    """One input file, open for reading.

    A regular file is read where it lies, and has to stay as it is until the
    last pass over it is done. A pipe (a FIFO, `/dev/stdin`, `<(command)`) can
    be read only once: its bytes are copied to a temporary file first.

    Args:
        path: the file or pipe.

    Attributes:
        path: as given; errors name it.
        local: the regular file that holds the bytes: `path`, or the copy.
        digest: SHA-256 of all bytes; None until they were read (a pipe is read at once).

    Raises:
        FileError: a file that cannot be read, or an empty one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = self.local = Path(path)
        self.digest: str | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        try:
            kind = stat.S_IFMT(_status(self.path).st_mode)
            if kind in _REFUSED:
                raise FileError(path, "a file is needed", expected="a file or a pipe", got=_REFUSED[kind])
            if kind != stat.S_IFREG:
                self._copy()
            with self.local.open("rb") as file:
                empty = not file.read(1)
            self._identity = self._identify()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileError(path, "the file does not exist") from error
        except OSError as error:
            raise FileError(path, "the file cannot be read", got=error.strerror) from error
        if empty:
            self.close()
            raise FileError(path, "the file is empty")

    def first(self, count: int) -> bytes:
        """How the file begins."""
        with self.local.open("rb") as file:
            return file.read(count)

    def first_unpacked(self, count: int) -> bytes:
        """The first bytes, of a gzip file after unpacking; empty if it is damaged."""
        start = self.first(1 << 16)
        if not start.startswith(GZIP):
            return start[:count]
        try:
            return zlib.decompressobj(wbits=31).decompress(start, count)
        except zlib.error:
            return b""

    @property
    def is_bgzip(self) -> bool:
        """Whether this is a gzip file in blocks."""
        start = self.first(18)
        return start.startswith(GZIP) and start[12:14] == b"BC"

    def check_end(self) -> None:
        """Refuse a bgzip file without its last block: cut between two blocks, it looks whole to gzip.

        Raises:
            FileError: it is cut short.
        """
        if not self.is_bgzip:
            return
        with self.local.open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - len(_BGZIP_END), 0))
            if file.read() != _BGZIP_END:
                raise FileError(self.path, "the bgzip file is cut short", expected="an empty last block")

    @contextmanager
    def read(self) -> Iterator[IO[bytes]]:
        """All bytes, hashed as they are read.

        Raises:
            FileError: at the end: the file changed while it was read, or since an earlier pass.
        """
        with self.local.open("rb", buffering=0) as raw:
            hashing = _Hashing(raw)
            yield io.BufferedReader(hashing, _PIECE)
            while hashing.read(_PIECE):  # the rest, which the caller did not read, is hashed too
                pass
        digest = hashing.sum.hexdigest()
        if self.digest not in (None, digest):
            raise FileError(self.path, "the file changed while it was read")
        self.digest = digest
        self.check_unchanged()

    def check_unchanged(self) -> None:
        """Refuse a file that was written to, or replaced, since it was opened.

        Raises:
            FileError: it was.
        """
        try:
            same = self._identify() == self._identity
        except OSError:
            same = False
        if not same:
            raise FileError(self.path, "the file changed while it was read")

    def close(self) -> None:
        """Remove the copy, if there is one."""
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __fspath__(self) -> str:
        return str(self.path)

    def _identify(self) -> tuple[int, ...]:
        found = os.stat(self.local)
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _copy(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="fastism-compiler-")
        self.local = Path(self._folder.name) / (self.path.name or "input")
        with self.path.open("rb", buffering=0) as pipe, self.local.open("wb") as copy:
            hashing = _Hashing(pipe)
            try:
                shutil.copyfileobj(io.BufferedReader(hashing, _PIECE), copy, _PIECE)
            except OSError as error:
                raise FileError(
                    self.path,
                    "a pipe is copied to a temporary file first, which failed",
                    expected=f"room in {tempfile.gettempdir()} (TMPDIR says where)",
                    got=error.strerror,
                ) from error
        self.digest = hashing.sum.hexdigest()
        if self.first(2) == GZIP and self.local.suffix not in (".gz", ".bgz"):
            self.local = self.local.rename(f"{self.local}.gz")  # readers of genomes go by the name


def _status(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except ValueError as error:  # a zero byte, or a half of a character, in its name
        raise FileNotFoundError(str(path)) from error


class _Hashing(io.RawIOBase):
    """A stream that keeps the SHA-256 of what was read from it."""

    def __init__(self, raw: Any) -> None:
        self._raw, self.sum = raw, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = int(self._raw.readinto(buffer) or 0)
        self.sum.update(memoryview(buffer)[:count])
        return count


@contextmanager
def opened(path: str | os.PathLike[str]) -> Iterator[Source]:
    """An open source, which stays open, or a path opened as a source for this context."""
    if isinstance(path, Source):
        yield path
        return
    with Source(path) as source:
        yield source
