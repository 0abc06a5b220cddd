"""The documentation site builds without a warning."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from docs.benchmarks import write
from docs.pages import FOLDER, PAGES

ROOT = FOLDER.parent
EMPTY = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'


def test_the_site_builds_strictly_and_documents_the_public_names(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "docs", ignore=shutil.ignore_patterns("generated", "__pycache__"))
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    for folder in ("fastism_compiler", "ir", "passes"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    generated = tmp_path / "docs" / "generated"
    write(generated)
    for name in {n for p in PAGES for n in re.findall(r"generated/([\w-]+\.svg)", p.read_text())}:
        (generated / name).write_text(EMPTY)
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    reference = (tmp_path / "site" / "reference.html").read_text()
    for name in (
        "fastism_compiler.compiler.compile",
        "fastism_compiler.runtime.program.Program.saturate",
        "fastism_compiler.passes.base.Pass",
        "fastism_compiler.ir.graph.Graph.replace",
        "fastism_compiler.plot.heatmap.heatmap_figure",
        "fastism_compiler.ir.errors.RangeError",
        "fastism_compiler.models",
    ):
        assert f'id="{name}"' in reference, name
    assert not list((tmp_path / "site").rglob("*.py")), "scripts are no pages"
