"""The notebooks run, print nothing to standard error, and have outputs of the kinds that a run gives."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from docs.notebooks import NOTEBOOKS, execute, messages


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_notebook_runs_quietly(path: Path) -> None:
    run = execute(path)
    assert list(messages(run)) == []
    kept = nbformat.read(path, as_version=4)
    for now, before in zip(run.cells, kept.cells, strict=True):
        kinds = [[sorted(output.get("data", {})) for output in cell.get("outputs", ())] for cell in (now, before)]
        assert kinds[0] == kinds[1], "python -m docs.notebooks keeps the outputs of a run"


def test_each_is_linked_from_the_documentation() -> None:
    text = "".join(page.read_text() for page in (Path(__file__).parents[2] / "docs").glob("*.md"))
    assert [path.name for path in NOTEBOOKS if path.name not in text] == []
