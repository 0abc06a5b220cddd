"""Writing artifacts: all or nothing, and never over something else."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastism_compiler.ir.errors import ArtifactError, OptionError

FORMATS = ("savedmodel", "ism", "onnx", "stablehlo")
"""`ism` is a SavedModel with its manifest, in one file."""


def check_format(name: Any) -> str:
    """A format's name.

    Raises:
        OptionError: no such format.
    """
    if name not in FORMATS:
        raise OptionError("no such export format", expected=", ".join(FORMATS), got=repr(name))
    return str(name)


_MANIFESTS = ("fastism.json", "manifest.json")
"""One of them lies in every directory that this package writes."""


@contextmanager
def new_artifact(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """An empty directory beside `path` to write into; what lies at `DIRECTORY/artifact` then becomes `path`.

    Raises:
        ArtifactError: `path` exists and may not be replaced, or cannot be written.
    """
    _check_free(path, overwrite)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield scratch
        _remove(path)
        (scratch / "artifact").rename(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _check_free(path: Path, overwrite: bool) -> None:
    if not path.exists():
        return
    if not overwrite:
        raise ArtifactError("the target exists", expected="a new path, or overwrite=True", got=str(path))
    if path.is_dir() and any(path.iterdir()) and not any((path / name).is_file() for name in _MANIFESTS):
        raise ArtifactError("only an exported program is overwritten, not another directory", got=str(path))


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> ArtifactError:
    return ArtifactError("the target cannot be written", got=f"{path}: {error.strerror or error}")
