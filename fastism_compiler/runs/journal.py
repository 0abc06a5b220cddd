"""The journal of a run: what is planned, what is done, who is at it. It stands inside the store until the end."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastism_compiler.runs.errors import StoreError
from fastism_compiler.runs.files import read_json, write_json
from fastism_compiler.runs.locks import FileLock

FOLDER = ".progress"


class Journal:
    """`<store>/.progress/`: locks, the plan, and one small file per finished task.

    Args:
        store: folder of the store.
    """

    def __init__(self, store: Path) -> None:
        self.folder = store / FOLDER
        self._done, self._claims = self.folder / "done", self.folder / "claims"
        self._presence = FileLock(self.folder / "presence.lock")

    def open(self) -> None:
        """Make the folders.

        Raises:
            OSError: they cannot be made.
        """
        self._done.mkdir(parents=True, exist_ok=True)
        self._claims.mkdir(exist_ok=True)

    @contextmanager
    def setting_up(self) -> Iterator[None]:
        """One process at a time prepares or finishes the store; others wait."""
        with FileLock(self.folder / "setup.lock").held():
            yield

    def enter(self, *, join: bool) -> None:
        """Be present on the store (call it while `setting_up`).

        Raises:
            StoreError: others are, and `join` is off.
        """
        if not join and not self._presence.acquire():
            raise StoreError(
                "another run is at work on this store",
                expected="its end, or --join to share the work",
                got=str(self.folder.parent),
            )
        self._presence.acquire(shared=True, wait=True)

    def leave(self) -> None:
        """Be gone from the store."""
        self._presence.release()

    @property
    def plan(self) -> dict[str, Any] | None:
        """What was planned when the input had been read; None before that."""
        path = self.folder / "plan.json"
        return read_json(path) if path.exists() else None

    def write_plan(self, plan: dict[str, Any]) -> None:
        """The input is in the store, and these are the tasks."""
        write_json(self.folder / "plan.json", plan)

    def finished(self) -> set[int]:
        """Tasks whose results are in the store."""
        try:
            return {int(p.stem) for p in self._done.iterdir() if p.suffix == ".json"}
        except FileNotFoundError:
            return set()

    def is_finished(self, task: int) -> bool:
        """Whether the results of one task are in the store."""
        return (self._done / f"{task}.json").exists()

    def finish(self, task: int, counts: dict[str, int]) -> None:
        """Record that the results of a task are on disk."""
        write_json(self._done / f"{task}.json", counts)

    def counts(self) -> dict[str, int]:
        """The counts of all finished tasks, added up."""
        total: Counter[str] = Counter()
        for path in self._done.glob("*.json"):
            total.update(read_json(path))
        return dict(total)

    @contextmanager
    def claim(self, task: int) -> Iterator[bool]:
        """Claim a task; False where another process is at it, or has finished it."""
        lock = FileLock(self._claims / str(task))
        try:
            yield lock.acquire() and not self.is_finished(task)
        finally:
            lock.release()

    def remove(self) -> None:
        """Take the journal out of a store that is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)
