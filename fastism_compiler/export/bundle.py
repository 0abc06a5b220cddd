"""`.ism`: a whole program in one file, a zip of what a SavedModel directory holds and its plan as text."""

from __future__ import annotations

import shutil
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from fastism_compiler.archives import check_unpacked_size
from fastism_compiler.errors import ArtifactError
from fastism_compiler.export.manifest import Manifest, check_files
from fastism_compiler.export.savedmodel import MANIFEST
from fastism_compiler.host.files import not_whole

_MANIFEST, _PAYLOAD = "manifest.json", "savedmodel"
_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every entry, so that the same content gives the same bundle."""
_DAMAGE = (zipfile.BadZipFile, KeyError, EOFError, ValueError, RuntimeError, zlib.error, struct.error)
"""What zipfile raises for damaged files: one flipped bit can mark an entry as encrypted, or packed otherwise."""


def pack_bundle(folder: Path, manifest: Manifest, path: Path) -> None:
    """Write a SavedModel directory with its manifest as one file."""
    texts = {_MANIFEST: manifest.to_json(), "plan.txt": manifest.plan_text + "\n", "graph.txt": manifest.graph_text}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as bundle:
        for name, text in texts.items():
            bundle.writestr(_entry(name), text)
        for name in sorted(manifest.files):
            with (folder / name).open("rb") as source, bundle.open(
                _entry(f"{_PAYLOAD}/{name}"), "w", force_zip64=True
            ) as target:  # fmt: skip
                shutil.copyfileobj(source, target, 1 << 20)
    with zipfile.ZipFile(path) as bundle:
        damaged = bundle.testzip()
    if damaged is not None:
        raise not_whole(path, damaged)


def unpack_bundle(path: Path, folder: Path) -> Manifest:
    """Unpack a bundle into a SavedModel directory; only the files its manifest names.

    Raises:
        ArtifactError: not a bundle, a truncated one, one of a newer version, or one that unpacks to far more than it
            holds.
    """
    try:
        with zipfile.ZipFile(path) as bundle:
            check_unpacked_size(bundle, path, ArtifactError)
            manifest = Manifest.from_json(bundle.read(_MANIFEST), str(path))
            for name in manifest.files:
                _extract(bundle, name, folder, path)
    except ArtifactError:
        raise
    except _DAMAGE as error:
        raise ArtifactError(
            "not a bundle, or a damaged or truncated one", expected="an .ism file", got=f"{path}: {error}"
        ) from error
    (folder / MANIFEST).write_text(manifest.to_json())
    check_files(manifest, folder, str(path))
    return manifest


def copy_folder(path: Path, folder: Path) -> Manifest:
    """Copy a SavedModel directory, only the files its manifest names; the copy is what is checked and loaded.

    Raises:
        ArtifactError: not a program, a damaged one, or one of a newer version.
        OSError: it cannot be read, or there is no room for the copy.
    """
    file = path / MANIFEST
    if not file.is_file():
        raise ArtifactError(
            "only programs exported as savedmodel or ism are loaded", expected=f"a file {MANIFEST}", got=str(path)
        )
    manifest = Manifest.from_json(file.read_bytes(), str(path))
    for name in manifest.files:
        target = _inside(folder, name, path)
        if (path / name).is_file():  # `check_files` reports a missing one
            shutil.copyfile(path / name, target)
    (folder / MANIFEST).write_text(manifest.to_json())
    check_files(manifest, folder, str(path))
    return manifest


def _inside(folder: Path, name: str, path: Path) -> Path:
    """Where a file of a program is put; its folder is made."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise ArtifactError("a file of the program lies outside of it", got=f"{path}: {name}")
    target = folder / pure
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _extract(bundle: zipfile.ZipFile, name: str, folder: Path, path: Path) -> None:
    target = _inside(folder, name, path)
    with bundle.open(f"{_PAYLOAD}/{name}") as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, 1 << 20)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o644 << 16
    return entry
