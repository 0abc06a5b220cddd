"""`check_store`: whether every file of a store is as it was written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from fastism_compiler.arguments import path as path_argument
from fastism_compiler.runs.damage import find_damage
from fastism_compiler.runs.errors import DamagedError, StoreError
from fastism_compiler.runs.journal import FOLDER, PLAN
from fastism_compiler.runs.manifest import is_ours, manifest_path, read_manifest
from fastism_compiler.runs.record import REPAIR, Damage, read_object
from fastism_compiler.runs.store import META, Store


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What `check_store` found.

    Attributes:
        path: of the store.
        complete: whether its run is finished.
        files: how many files were read.
        damaged: files that are missing or not as they were written, by their path in the store.
        note: what could not be checked; empty if everything was.
    """

    path: str
    complete: bool
    files: int
    damaged: tuple[Damage, ...]
    note: str = ""

    @property
    def whole(self) -> bool:
        """Whether the store is complete, and no file is damaged."""
        return self.complete and not self.damaged

    def __str__(self) -> str:
        lines = [str(damage) for damage in self.damaged]
        if self.damaged:
            lines.append(f"{self.path}: {len(self.damaged)} damaged or missing; to repair, {REPAIR}")
        elif self.complete:
            lines.append(f"{self.path}: whole, {self.files} files")
        else:
            lines.append(f"{self.path}: not complete; the {self.files} files so far are whole")
        return "\n".join([*lines, *([self.note] if self.note else [])])


def check_store(path: str | os.PathLike[str]) -> StoreReport:
    """Read every file of a store, and compare it with what was recorded when it was written.

    Args:
        path: of a store that `scan` or `scan_variants` has written, complete or not.

    Returns:
        The damaged and missing files. The same scan, run again, makes them anew.

    Raises:
        StoreError: not a store.
        OptionError: zarr is not installed.
    """
    store = Store(path_argument("path", path))
    damages, attributes = [], {}
    try:
        attributes = store.attributes
    except DamagedError as error:
        damages.append(Damage(META, error.fault))
    if not damages and not is_ours(attributes):
        if not (_has_manifest(store.path) and any(store.path.glob(f"*/{META}"))):
            raise StoreError("not a store of a scan or of variants", got=str(path))
        damages.append(Damage(META, "missing"))
    note, files, complete = "", 0, bool(attributes.get("complete"))
    if complete and "files" not in attributes:
        note = "written by an earlier version, which recorded no checksums: only what cannot be decoded was found"
        checked = list(_undecodable(store.path, attributes))
        damages += [damage for damage in checked if damage is not None]
        files = len(checked)
    elif not damages:
        try:
            found = find_damage(store, contents=True)
            damages, files = found.all, found.files
        except DamagedError as error:
            damages.append(Damage(f"{FOLDER}/{PLAN}", error.fault))
    damages += _of_manifest(store.path)
    return StoreReport(str(path), complete, files, tuple(damages), note)


def _of_manifest(store: Path) -> list[Damage]:
    """Damage of the manifest beside the store; it may be missing, as where the store alone was copied."""
    try:
        read_manifest(store)
    except FileNotFoundError:
        return []
    except DamagedError as error:
        return [Damage(manifest_path(store).name, error.fault)]
    return []


def _has_manifest(store: Path) -> bool:
    try:
        return "tasks" in read_manifest(store)
    except (FileNotFoundError, StoreError):
        return False


def _undecodable(path: Path, attributes: dict[str, Any]) -> Iterator[Damage | None]:
    """For each chunk of a store without checksums: its damage, or None."""
    from fastism_compiler.runs.reading import Arrays  # zarr is an extra, and this module is imported without it

    arrays = Arrays(path, attributes, {})
    for folder in sorted(p.parent for p in path.rglob(META) if p.parent != path):
        name = folder.relative_to(path).as_posix()
        try:
            if not _is_array(folder):
                continue
            array = arrays[name]
        except DamagedError as error:
            yield Damage(f"{name}/{META}", error.fault)
            continue
        steps = [range(0, extent, chunk) for extent, chunk in zip(array.shape, array.chunks, strict=True)]
        for corner in product(*steps):
            cells = tuple(slice(at, at + chunk) for at, chunk in zip(corner, array.chunks, strict=True))
            place = "/".join(str(at // chunk) for at, chunk in zip(corner, array.chunks, strict=True))
            try:
                array[cells]
            except DamagedError as error:
                yield Damage(f"{name}/c/{place}", error.fault)
            else:
                yield None


def _is_array(folder: Path) -> bool:
    return read_object(folder / META).get("node_type") == "array"
