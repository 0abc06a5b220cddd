"""Model files read as data: the configuration of a `.keras` or HDF5 file, without building anything from it."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py

from fastism_compiler.archives import check_unpacked_size
from fastism_compiler.errors import ModelError
from fastism_compiler.host.files import sha256

_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model file, as it was when it was opened.

    Attributes:
        path: where the user has it, for messages.
        copy: a copy that nobody else can write to. It alone is read: what was checked is what is loaded.
        sha256: of the copy.
    """

    path: Path
    copy: Path
    sha256: str


@contextmanager
def opened(path: Path) -> Iterator[ModelFile]:
    """Copy a model file to a private folder, which is deleted on exit.

    Raises:
        ModelError: no such file, one that cannot be read, one that changes meanwhile, or no room for a copy.
    """
    if not os.path.isfile(path):  # False for a path that is too long, too
        raise ModelError("the model file does not exist", expected="a .keras or .h5 file", got=str(path))
    with TemporaryDirectory(prefix="fastism-", ignore_cleanup_errors=True) as folder:
        copy = Path(folder) / path.name
        try:
            before = _state(path)
            shutil.copyfile(path, copy)
            changed = _state(path) != before
        except OSError as error:
            raise ModelError(
                "the model file cannot be read into a temporary folder",
                expected=f"permission to read it, and room in {folder} (TMPDIR says where)",
                got=f"{path}: {error.strerror or error}",
            ) from error
        if changed:
            raise ModelError("the model file changed while it was read; start again", got=str(path))
        yield ModelFile(path, copy, sha256(copy))


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@dataclass(frozen=True, slots=True)
class FileConfig:
    """What a model file says about its model.

    Attributes:
        file: the file.
        root: the model's configuration, as JSON has it.
        version: of the Keras that wrote the file; empty where the file does not say.
        archive: a `.keras` archive; else an HDF5 file.
    """

    file: ModelFile
    root: dict[str, Any]
    version: str
    archive: bool

    @property
    def path(self) -> Path:
        """Where the user has the file."""
        return self.file.path


def read_config(file: ModelFile) -> FileConfig:
    """Read the configuration of a model file, of Keras 3 or Keras 2. Nothing is built, imported or unpacked.

    Raises:
        ModelError: a damaged file, one that holds weights only, or no model file.
    """
    try:
        # the same two questions, in the same order, that Keras asks
        if _is_archive(file):
            return _from_archive(file)
        if h5py.is_hdf5(file.copy):
            return _from_hdf5(file)
    except ModelError:
        raise
    except (OSError, ValueError, KeyError, EOFError, RecursionError, NotImplementedError, zipfile.BadZipFile) as error:
        raise _damaged(file.path, str(error) or type(error).__name__) from error
    raise _damaged(file.path, "neither a zip archive nor an HDF5 file")


def _is_archive(file: ModelFile) -> bool:
    return file.copy.name.endswith(".keras") and zipfile.is_zipfile(file.copy)


def check_links(file: ModelFile) -> None:
    """Refuse HDF5 weights, in a file or an archive, that point to other files.

    Raises:
        ModelError: such weights, or damaged ones.
    """
    try:
        if not _is_archive(file):
            with h5py.File(file.copy) as weights:
                _check_links(weights, file.path)
            return
        with zipfile.ZipFile(file.copy) as archive:
            if _WEIGHTS in archive.namelist():
                with h5py.File(io.BytesIO(archive.read(_WEIGHTS))) as weights:
                    _check_links(weights, file.path)
    except (OSError, RuntimeError, zipfile.BadZipFile) as error:
        raise _damaged(file.path, str(error)) from error


def _from_archive(file: ModelFile) -> FileConfig:
    with zipfile.ZipFile(file.copy) as archive:
        check_unpacked_size(archive, file.copy, ModelError)
        root = json.loads(archive.read(_CONFIG))
        metadata = json.loads(archive.read(_METADATA)) if _METADATA in archive.namelist() else {}
    version = metadata.get("keras_version", "") if isinstance(metadata, dict) else ""
    return FileConfig(file, _checked(root, file.path), str(version), archive=True)


def _from_hdf5(file: ModelFile) -> FileConfig:
    with h5py.File(file.copy) as content:
        text = content.attrs.get("model_config")
        version = content.attrs.get("keras_version", "")
        if text is None:
            raise _without_model(content, file.path)
    text = text.decode() if isinstance(text, bytes) else text
    version = version.decode(errors="replace") if isinstance(version, bytes) else version
    if not isinstance(text, str):
        raise _damaged(file.path, "the attribute model_config is no text")
    return FileConfig(file, _checked(json.loads(text), file.path), str(version), archive=False)


def _checked(root: Any, path: Path) -> dict[str, Any]:
    if not isinstance(root, dict) or "class_name" not in root:
        raise _damaged(path, "its configuration describes no model")
    return root


def _without_model(file: h5py.File, path: Path) -> ModelError:
    """An HDF5 file has no configuration: weights of an old or a new kind, or something else altogether."""
    if "layer_names" in file.attrs or any(n in file for n in ("layers", "_layer_checkpoint_dependencies", "vars")):
        return ModelError(
            "the file holds weights only: load them into the model in Python",
            expected="model = build_your_model(); model.load_weights(path); fastism_compiler.compile(model), "
            "or a file that model.save wrote",
            got=str(path),
        )
    return ModelError(
        "the HDF5 file holds no Keras model", expected="an .h5 file that model.save wrote", got=f"{path}: {list(file)}"
    )


def _damaged(path: Path, reason: str) -> ModelError:
    return ModelError(
        "the model file could not be loaded: it is damaged, or not a Keras model",
        expected="a .keras or .h5 file that model.save wrote",
        got=f"{path}: {reason}",
    )


def _check_links(file: h5py.File, path: Path) -> None:
    links: list[str] = []

    def link(name: str, kind: Any) -> None:
        if isinstance(kind, h5py.SoftLink | h5py.ExternalLink):
            links.append(name)

    def item(name: str, content: Any) -> None:
        if isinstance(content, h5py.Dataset) and (content.external or content.is_virtual):
            links.append(name)

    file.visititems_links(link)
    file.visititems(item)
    if links:
        raise ModelError(
            "weights that lie in other files are not read",
            expected="weights in the file itself",
            got=f"{path}: {links[0]}",
        )
