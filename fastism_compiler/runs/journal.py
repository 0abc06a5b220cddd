"""The journal of a run: what is planned, what is done, who works on it. It is inside the store until the run ends."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastism_compiler.host.files import sync, write_json
from fastism_compiler.runs.errors import StoreError
from fastism_compiler.runs.locks import FileLock
from fastism_compiler.runs.record import Entries, read_sealed, sealed

FOLDER, PLAN = ".progress", "plan.json"


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
        """Register this process as working on the store (call it while `setting_up`).

        Raises:
            StoreError: another process is registered, and `join` is off.
        """
        if not join and not self._presence.acquire():
            raise StoreError(
                "another run is at work on this store",
                expected="its end, or --join to share the work",
                got=str(self.folder.parent),
            )
        self._presence.acquire(shared=True, wait=True)

    def leave(self) -> None:
        """Undo `enter`."""
        self._presence.release()

    @property
    def plan(self) -> dict[str, Any] | None:
        """What was planned when the input had been read (see `write_plan`); None before that.

        Raises:
            StoreError: it is damaged.
        """
        try:
            return read_sealed(self.folder / PLAN)
        except FileNotFoundError:
            return None

    def write_plan(self, rows: int, rows_per_task: int, files: Entries) -> None:
        """Record that the input is in the store, and what the tasks are.

        Args:
            rows: of the run.
            rows_per_task: of each task but the last.
            files: what is recorded of every file of the store that no task writes.
        """
        plan = {"rows": rows, "rows_per_task": rows_per_task, "tasks": -(-rows // rows_per_task), "files": dict(files)}
        write_json(self.folder / PLAN, sealed(plan))

    def forget_plan(self) -> None:
        """Delete the plan: the input has to be read again."""
        (self.folder / PLAN).unlink(missing_ok=True)

    def finished(self) -> set[int]:
        """Tasks whose results are in the store."""
        try:
            return {int(p.stem) for p in self._done.iterdir() if p.suffix == ".json" and p.stem.isdigit()}
        except FileNotFoundError:
            return set()

    def is_finished(self, task: int) -> bool:
        """Whether the results of one task are in the store."""
        return self._record(task).exists()

    def finish(self, task: int, counts: Mapping[str, int], files: Entries) -> None:
        """Record that the results of a task are on disk.

        Args:
            task: its number.
            counts: for the summary.
            files: what is recorded of the files that it has written.
        """
        write_json(self._record(task), sealed({"counts": dict(counts), "files": dict(files)}))

    def forget(self, task: int) -> None:
        """Have a task computed again."""
        self._record(task).unlink(missing_ok=True)

    def record_name(self, task: int) -> str:
        """Where the record of a task is, in the store."""
        return self._record(task).relative_to(self.folder.parent).as_posix()

    def record(self, task: int) -> dict[str, Any]:
        """What `finish` has recorded.

        Raises:
            StoreError: it is damaged.
            FileNotFoundError: the task is not finished.
        """
        return read_sealed(self._record(task))

    def restore(self, records: Mapping[int, Mapping[str, Any]]) -> None:
        """Replace the records: these tasks are finished, and no others."""
        shutil.rmtree(self._done, ignore_errors=True)
        self.open()
        for task, record in records.items():
            # not synced one by one: what a crash loses is computed again
            self._record(task).write_text(json.dumps(sealed(record), indent=2, sort_keys=True) + "\n")
        sync(self._done)

    def _record(self, task: int) -> Path:
        return self._done / f"{task}.json"

    @contextmanager
    def claim(self, task: int) -> Iterator[bool]:
        """Claim a task; yields False if another process is computing it, or has finished it."""
        lock = FileLock(self._claims / str(task))
        try:
            yield lock.acquire() and not self.is_finished(task)
        finally:
            lock.release()

    def remove(self) -> None:
        """Take the journal out of a store that is complete."""
        shutil.rmtree(self.folder, ignore_errors=True)


def total_counts(records: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The counts of tasks, added up."""
    total: Counter[str] = Counter()
    for record in records:
        total.update(record["counts"])
    return dict(total)
