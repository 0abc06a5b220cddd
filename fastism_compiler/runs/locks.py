"""Locks between processes, released by the system when their owner dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastism_compiler.runs.errors import StoreError


class FileLock:
    """An advisory lock on a file (`flock`), shared or exclusive. A dead owner holds nothing.

    Args:
        path: the file; it is made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def acquire(self, *, shared: bool = False, wait: bool = False) -> bool:
        """Take the lock; False if another process holds it and `wait` is off.

        A lock that is held exclusively can be taken again as a shared one.

        Raises:
            StoreError: a file system, or an operating system, without such locks.
            FileNotFoundError: the folder is gone.
        """
        try:
            import fcntl  # not on every operating system
        except ImportError as error:
            raise StoreError("stores need file locks, which this operating system lacks", got=os.name) from error
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB)
        try:
            fcntl.flock(self._descriptor, mode)
        except BlockingIOError:
            self.release()
            return False
        except OSError as error:
            self.release()
            raise StoreError("the file system of the store has no file locks", got=error) from error
        return True

    def release(self) -> None:
        """Give the lock back, if it is held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Wait for the lock, and hold it exclusively."""
        self.acquire(wait=True)
        try:
            yield
        finally:
            self.release()
