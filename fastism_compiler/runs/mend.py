"""A run on a store that was damaged: what is missing or wrong is made anew, and nothing else.

Files that no task writes are made again from the input, whose digest says that
it is the same. Results are computed again, as tasks that were not finished.
The attributes of the store are in its manifest too, and come back from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fastism_compiler.host.files import sync, write_json
from fastism_compiler.runs.damage import Found, find_damage
from fastism_compiler.runs.errors import StoreError
from fastism_compiler.runs.layout import Layout, Row
from fastism_compiler.runs.manifest import read_manifest
from fastism_compiler.runs.record import Damage, sealed
from fastism_compiler.runs.store import ATTRIBUTES, META, Store

_ONLY_COMPLETE = ("counts", "files", "tasks")


def restore_root(store: Store) -> int:
    """Write the group's metadata anew from the manifest, if it is damaged; how many files were mended.

    Raises:
        StoreError: it is damaged, and the manifest is missing or damaged as well.
    """
    try:
        missing = not store.attributes and any(store.path.glob(f"*/{META}"))
        if not missing:
            return 0
        fault: StoreError | None = None
    except StoreError as error:
        fault = error
    try:
        manifest = read_manifest(store.path)
        if "tasks" not in manifest:
            raise StoreError("the manifest lists no tasks")
    except (StoreError, FileNotFoundError) as error:
        if fault is None:
            return 0
        raise StoreError(
            "the output's own metadata is damaged, and no manifest beside it says what it holds",
            expected="another output, or this one deleted first",
            got=str(store.path / META),
        ) from error
    attributes = {key: manifest[key] for key in ATTRIBUTES if key in manifest}
    document = {"attributes": dict(sorted(sealed(attributes, ATTRIBUTES).items())), **_GROUP}
    write_json(store.path / META, document, sort=False)
    # rewritten by zarr, so that its bytes are those of zarr
    store.set_attributes({})
    return 1


_GROUP = {"zarr_format": 3, "node_type": "group"}


def mend(store: Store, layout: Layout, rows: Callable[[], Iterable[Row]], *, contents: bool) -> int:
    """Mend what is damaged, apart from the group's metadata; tasks are only marked as not finished.

    The caller holds the lock of the journal, and has compared the input with that of the store.

    Args:
        store: complete, or with a plan.
        layout: of its arrays.
        rows: reads the input again.
        contents: read all results back; else compare only their sizes.

    Returns:
        How many files were damaged.

    Raises:
        StoreError: the plan is damaged.
        OSError: the store cannot be written.
    """
    found, complete = find_damage(store, contents=contents), store.complete
    if found.frame:
        _mend_frame(store, layout, rows(), found.frame)
    for task, damages in found.tasks.items():
        for damage in damages:
            (store.path / damage.file).unlink(missing_ok=True)
        if not complete:
            store.journal.forget(task)
    for task in found.records:
        store.journal.forget(task)
    if complete and found.tasks:
        _reopen(store, found)
    return len(found.all)


def _mend_frame(store: Store, layout: Layout, rows: Iterable[Row], damages: Iterable[Damage]) -> None:
    """Write columns and metadata beside the store, and move those that are damaged into their places."""
    scratch = Store(store.journal.folder / "mended")
    shutil.rmtree(scratch.path, ignore_errors=True)
    scratch.path.mkdir()
    attributes = store.attributes
    scratch.create(layout, rows)
    scratch.make_room(layout, attributes["rows"], attributes["rows_per_task"])
    scratch.sync()
    files = dict(_frame_entries(store))
    made = scratch.entries()
    for damage in damages:
        target = store.path / damage.file
        target.parent.mkdir(parents=True, exist_ok=True)
        (scratch.path / damage.file).replace(target)
        sync(target.parent)
        files[damage.file] = made[damage.file]
    shutil.rmtree(scratch.path)
    if files != _frame_entries(store):  # another version of zarr may write the same values as other bytes
        if store.complete:
            store.set_attributes({"files": files})
        else:
            store.journal.write_plan(attributes["rows"], attributes["rows_per_task"], files)


def _frame_entries(store: Store) -> Mapping[str, Any]:
    plan = store.attributes if store.complete else store.journal.plan or {}
    return dict(plan["files"])


def _reopen(store: Store, found: Found) -> None:
    """Make a complete store unfinished again: its damaged tasks are to be computed, the others are finished."""
    attributes = store.attributes
    records = {task: record for task, record in enumerate(attributes["tasks"]) if task not in found.tasks}
    store.journal.restore(records)
    store.journal.write_plan(attributes["rows"], attributes["rows_per_task"], attributes["files"])
    store.set_attributes({"complete": False}, drop=_ONLY_COMPLETE)
