"""Separate environments for tools that are compared, or needed, but not installed with this package."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path


def python_of(folder: Path, requirements: Sequence[str], editable: str | None = None) -> Path:
    """The Python of an environment with these packages; built if it is not there.

    Args:
        folder: of the environment.
        requirements: what pip installs.
        editable: a checkout, with extras, that is installed where it is.
    """
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        print(f"building {folder} ({', '.join(requirements)}) ...", file=sys.stderr, flush=True)
        venv.create(folder, with_pip=True)
        further = [] if editable is None else ["-e", editable]
        subprocess.run([str(python), "-m", "pip", "install", "-q", *requirements, *further], check=True)
        (folder / "installed").touch()
    return python
