"""Which files of a store are not as they were written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastism_compiler.runs.errors import StoreError
from fastism_compiler.runs.record import Damage, Entries, compare, damaged
from fastism_compiler.runs.store import Store


@dataclass
class Found:
    """Damaged files of a store.

    Attributes:
        frame: those that no task writes: columns of the input, metadata of arrays.
        tasks: those of tasks that are recorded as finished, by task.
        records: records of finished tasks themselves, by task.
        files: how many files were looked at.
    """

    frame: list[Damage] = field(default_factory=list)
    tasks: dict[int, list[Damage]] = field(default_factory=dict)
    records: dict[int, Damage] = field(default_factory=dict)
    files: int = 0

    @property
    def all(self) -> list[Damage]:
        """Every damaged file."""
        return [*self.frame, *self.records.values(), *(d for damages in self.tasks.values() for d in damages)]


def find_damage(store: Store, *, contents: bool, frame_contents: bool = True) -> Found:
    """Compare the files of a store with what it records of them.

    A store of an earlier version records nothing, and nothing is found.

    Args:
        store: complete or not, with readable attributes.
        contents: read the results of tasks; else only look whether they are there, with their sizes.
        frame_contents: the same for all other files.

    Raises:
        StoreError: the attributes or the plan are damaged.
    """
    found, attributes = Found(), store.attributes
    plan = attributes if attributes.get("complete") else store.journal.plan
    if plan is None or "files" not in plan:
        return found
    found.frame = compare(store.path, plan["files"], contents=frame_contents)
    records = _records(store, attributes, found)
    for task, record in records.items():
        damages = compare(store.path, record["files"], contents=contents)
        if damages:
            found.tasks[task] = damages
    found.files = len(plan["files"]) + sum(len(record["files"]) for record in records.values())
    return found


def _records(store: Store, attributes: Mapping[str, Any], found: Found) -> dict[int, Mapping[str, Any]]:
    """What is recorded of every finished task."""
    if attributes.get("complete"):
        return dict(enumerate(attributes["tasks"]))
    records: dict[int, Mapping[str, Any]] = {}
    for task in sorted(store.journal.finished()):
        try:
            records[task] = store.journal.record(task)
        except FileNotFoundError:  # another run has just finished the store, and taken the journal away
            continue
        except StoreError:
            found.records[task] = Damage(store.journal.record_name(task), "the checksum does not match")
    return records


def recorded(store: Store) -> Entries:
    """What is recorded of every file of a complete store, or of an unfinished one's input; nothing in older stores."""
    attributes = store.attributes
    if not attributes.get("complete"):
        plan = store.journal.plan or {}
        return dict(plan.get("files", {}))
    return dict(attributes.get("files", {})) | {
        file: entry for task in attributes.get("tasks", ()) for file, entry in task["files"].items()
    }


def refuse_damage(store: Store) -> None:
    """Refuse a store of which files are missing or have another size; whoever reads them compares their contents.

    Raises:
        StoreError: the first such file.
    """
    for damage in find_damage(store, contents=False, frame_contents=False).all:
        raise damaged(store.path / damage.file, damage.fault)


def readable(path: Path) -> Store:
    """A store that can be read: whoever opens one, for any purpose, begins here.

    Raises:
        StoreError: not a store of a scan or of variants, or one of which files are missing.
    """
    store = Store(path)
    if not str(store.attributes.get("format", "")).startswith("fastism-"):
        raise StoreError("not a store of a scan or of variants", got=str(path))
    refuse_damage(store)
    return store
