"""What mkdocs runs: puts the package together as it is installed, where the API reference finds it.

`ir/` and `passes/` stand beside `fastism_compiler/` in a checkout, and inside it once installed.
"""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent
TREE = ROOT / "build" / "reference"
"""Named in mkdocs.yml too."""


def on_startup(command: str, dirty: bool) -> None:
    """Called by mkdocs before any plugin looks for files."""
    shutil.rmtree(TREE, ignore_errors=True)
    package = TREE / "fastism_compiler"
    python = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "fastism_compiler", package, ignore=python)
    for folder in ("ir", "passes"):
        shutil.copytree(ROOT / folder, package / folder, ignore=python)
