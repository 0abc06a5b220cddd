"""The conda recipe and the citation say what `pyproject.toml` says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from fastism_compiler import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_recipe_needs_what_the_package_needs() -> None:
    recipe = (ROOT / ".conda" / "meta.yaml").read_text()
    run = recipe.split("  run:\n")[1].split("  run_constrained:")[0]
    listed = [re.sub(r"^- ", "", line.strip()).replace(" ", "") for line in run.strip().splitlines()]
    assert listed == [f"python{PROJECT['requires-python']}", *PROJECT["dependencies"]]
    assert PROJECT["description"] in recipe
    (command,) = PROJECT["scripts"].items()
    assert " = ".join(command) in recipe


def test_one_version_everywhere() -> None:
    assert f'version = "{__version__}"' in (ROOT / ".conda" / "meta.yaml").read_text()
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()
    assert f"# What is new in {__version__}" in (ROOT / "docs" / "release-notes.md").read_text()
