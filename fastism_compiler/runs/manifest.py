"""The manifest: what a result was made of, as JSON beside it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastism_compiler._version import __version__
from fastism_compiler.host.files import beside, remove_stale, write_json
from fastism_compiler.runs.errors import StoreError
from fastism_compiler.runs.record import SEAL, damaged, is_sealed, read_object, sealed

_LIBRARIES = ("tensorflow", "keras", "numpy")
_SINCE_SEALS = {"files", "tasks", "sha256"}
"""Keys that only manifests with a checksum have; those of earlier versions have neither."""


def versions() -> dict[str, str]:
    """Versions of what computes the numbers."""
    found = {"fastism_compiler": __version__}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # such as tensorflow-cpu
            found[name] = "unknown"
    return found


def manifest_path(result: Path) -> Path:
    """Where the manifest of a result stands: `<result>.manifest.json`."""
    return beside(result, f"{result.name}.manifest.json")


def write_manifest(result: Path, content: dict[str, Any]) -> None:
    """Write the manifest of a result.

    Raises:
        OSError: it cannot be written.
    """
    path = manifest_path(result)
    remove_stale(path)
    # sorted at the first level only: the chromosomes of a store are in the order of the genome
    write_json(path, dict(sorted(sealed(content).items())), sort=False)


def read_manifest(result: Path) -> dict[str, Any]:
    """The manifest of a result.

    Raises:
        StoreError: it is damaged.
        FileNotFoundError: there is none.
    """
    content = read_object(manifest_path(result))
    earlier = SEAL not in content and not _SINCE_SEALS.intersection(content)
    if not (earlier or is_sealed(content)):
        raise damaged(manifest_path(result), "the checksum does not match")
    return content


def is_theirs(result: Path) -> bool:
    """Whether a file that no run has written stands where the manifest of a result would."""
    try:
        content = read_object(manifest_path(result))
    except (FileNotFoundError, NotADirectoryError):
        return False
    except StoreError:
        return True
    return not is_ours(content)


def is_ours(content: Mapping[str, Any]) -> bool:
    """Whether a run has written this manifest, or these attributes of a store."""
    return str(content.get("format", "")).startswith("fastism-")
