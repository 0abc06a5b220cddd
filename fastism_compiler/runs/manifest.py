"""The manifest: what a result was made of, as JSON beside it."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

from fastism_compiler._version import __version__
from fastism_compiler.runs.files import write_json

_LIBRARIES = ("tensorflow", "keras", "numpy")


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
    return result.with_name(f"{result.name}.manifest.json")


def write_manifest(result: Path, content: dict[str, Any]) -> None:
    """Write the manifest of a result."""
    write_json(manifest_path(result), content)
