"""Writing artifacts: all or nothing, and never over something else."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastism_compiler.arguments import flag
from fastism_compiler.errors import ArtifactError
from fastism_compiler.host.files import beside, partial_path, put_in_place, remove_stale, sync_tree
from fastism_compiler.ir.errors import OptionError

FORMATS = ("savedmodel", "ism", "onnx", "stablehlo")
"""`ism` is a SavedModel with its manifest, in one file."""


def check_format(name: Any) -> str:
    """A format's name.

    Raises:
        OptionError: no such format.
    """
    if not isinstance(name, str) or name not in FORMATS:
        raise OptionError("no such export format", expected=", ".join(FORMATS), got=repr(name))
    return str(name)


_MANIFESTS = ("fastism.json", "manifest.json")
"""One of them lies in every directory that this package writes."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """A directory beside the target.

    Attributes:
        folder: anything may be written here; it goes away.
        artifact: what lies here, a file or a directory, becomes the target.
        data: what lies here becomes a file of this name beside the target.
    """

    folder: Path
    artifact: Path
    data: Path


@contextmanager
def new_artifact(path: Path, *, overwrite: bool = False, with_data: bool = False) -> Iterator[Scratch]:
    """Somewhere to write an artifact that then becomes `path`: all of it, or nothing.

    Args:
        path: the target.
        overwrite: the target may be replaced.
        with_data: a file `<path>.data` belongs to it as well, where there is one.

    Raises:
        ArtifactError: `path` exists and may not be replaced, or cannot be written.
    """
    data = beside(path, path.name + ".data")
    targets = (path, data) if with_data else (path,)
    overwrite = flag("overwrite", overwrite)
    folder = partial_path(path)
    scratch = Scratch(folder, folder / "artifact", folder / data.name)
    try:
        for target in targets:
            _check_free(target, overwrite)
        remove_stale(path)
        folder.mkdir()
        yield scratch
        sync_tree(folder)
        for made, target in zip((scratch.artifact, scratch.data), targets, strict=False):
            if target.is_dir() or made.is_dir() or not made.exists():  # a file replaces a file in one step
                _take_away(target, folder)
            if made.exists():
                put_in_place(made, target)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _check_free(path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise ArtifactError("the target exists", expected="a new path, or overwrite=True", got=str(path))
    if path.is_dir() and any(path.iterdir()) and not any((path / name).is_file() for name in _MANIFESTS):
        raise ArtifactError("only an exported program is overwritten, not another directory", got=str(path))


def _take_away(path: Path, folder: Path) -> None:
    """Move an older artifact into the scratch folder, which goes away."""
    if path.exists() or path.is_symlink():
        path.rename(folder / f"{path.name}.old")


def _unwritable(path: Path, error: OSError) -> ArtifactError:
    return ArtifactError("the target cannot be written", got=f"{path}: {error.strerror or error}")
