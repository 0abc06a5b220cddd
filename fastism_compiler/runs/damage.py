"""Which files of a store are not as they were written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastism_compiler.runs.errors import DamagedError, StoreError
from fastism_compiler.runs.manifest import is_ours
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


def find_damage(store: Store, *, contents: bool) -> Found:
    """Compare the files of a store with what it records of them.

    A store of an earlier version records nothing, and nothing is found.

    Args:
        store: complete or not, with readable attributes.
        contents: read the results of tasks; else compare only their sizes. All other files are read.

    Raises:
        StoreError: the attributes or the plan are damaged.
    """
    return _damage(store, store.attributes, contents=contents, frame_contents=True)


def _damage(store: Store, attributes: Mapping[str, Any], *, contents: bool, frame_contents: bool) -> Found:
    found = Found()
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
        except DamagedError as error:
            found.records[task] = Damage(store.journal.record_name(task), error.fault)
    return records


@dataclass(frozen=True, slots=True)
class Readable:
    """A store whose files are all there.

    Attributes:
        attributes: of its group.
        entries: what is recorded of every file of a complete store, or of an unfinished one's input; nothing in
            stores of earlier versions.
    """

    attributes: dict[str, Any]
    entries: Entries


def readable(path: Path) -> Readable:
    """Check a store before it is read; everything that opens a store calls this first.

    Only the sizes of files are compared here; contents are compared when they are read.

    Raises:
        StoreError: not a store of a scan or of variants, or one of which files are missing or have another size.
    """
    store = Store(path)
    attributes = store.attributes
    if not is_ours(attributes):
        raise StoreError("not a store of a scan or of variants", got=f"{path}: format {attributes.get('format')!r}")
    for damage in _damage(store, attributes, contents=False, frame_contents=False).all:
        raise damaged(store.path / damage.file, damage.fault)
    return Readable(attributes, _recorded(store, attributes))


def _recorded(store: Store, attributes: Mapping[str, Any]) -> Entries:
    if not attributes.get("complete"):
        plan = store.journal.plan or {}
        return dict(plan.get("files", {}))
    return dict(attributes.get("files", {})) | {
        file: entry for task in attributes.get("tasks", ()) for file, entry in task["files"].items()
    }
