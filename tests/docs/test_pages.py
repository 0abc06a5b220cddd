"""Every code block of the documentation runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from docs import benchmarks, draw
from docs.pages import FOLDER, PAGES, blocks, run
from fastism_compiler.models.randomize import randomize
from tests.graphs import GRAPHS
from tests.plot.store import write_store


def files_of_a_reader(folder: Path) -> None:
    """What the commands of the page read: a model and a store."""
    randomize(GRAPHS["residual_tower"]()).save(folder / "model.keras")
    write_store(folder / "scores.zarr")


PREPARE: dict[str, Callable[[Path], None]] = {"command-line": files_of_a_reader, "export": files_of_a_reader}
CODE = [page for page in PAGES if {b.language for b in blocks(page)} & {"python", "bash"}]


@pytest.mark.parametrize("page", CODE, ids=lambda p: p.stem)
def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    PREPARE.get(page.stem, lambda folder: None)(tmp_path)
    run(page)
    if page.stem in draw.PAGES_THAT_DRAW:
        shown = set(re.findall(r"\]\(generated/([\w-]+\.svg)\)", page.read_text()))
        assert shown == {p.name for p in tmp_path.glob("*.svg")}, "what the code saves is what the page shows"


def test_pictures_of_programs_are_those_the_pages_show() -> None:
    shown = set()
    for page in PAGES:
        if page.stem not in draw.PAGES_THAT_DRAW:
            shown |= set(re.findall(r"\]\(generated/([\w-]+)\.svg\)", page.read_text()))
    assert shown == set(draw.PROGRAMS)


def test_drawings_of_programs(tmp_path: Path) -> None:
    draw.draw_programs(tmp_path)
    texts = {name: (tmp_path / f"{name}.svg").read_text() for name in draw.PROGRAMS}
    assert "tile:dilated_2" in texts["residual"]
    assert "reference:attention" in texts["attention"]


def test_fences_are_found_with_their_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a\n\n```python\nx = 1\n\ny = 2\n```\n\n- b\n\n    ```bash\n    ls\n    ```\n\n```\nplain\n```\n")
    assert [(b.language, b.code, b.line) for b in blocks(page)] == [
        ("python", "x = 1\n\ny = 2\n", 4),
        ("bash", "ls\n", 12),
        ("", "plain\n", 16),
    ]


def test_a_broken_page_fails(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n")
    with pytest.raises(AssertionError) as caught:
        run(page)
    assert caught.traceback[-1].lineno == 5, "counted from 0"
    page.write_text("```bash\nfastism-compiler plot nothing.zarr p.png\n```\n")
    with pytest.raises(RuntimeError, match="does not exist"):
        run(page)


def test_the_benchmarks_page_holds_every_result() -> None:
    text = benchmarks.page()
    results = sorted(benchmarks.RESULTS.glob("*.json"))
    assert results
    for path in results:
        assert f"## {path.stem.replace('_', ' ').capitalize()}" in text
    assert "| basset | 8 |" in text
    assert "| faults: a kernel is read one row off | yes |" in text


def test_no_page_is_empty_or_left_out_of_the_menu() -> None:
    menu = (FOLDER.parent / "mkdocs.yml").read_text()
    for page in PAGES:
        assert page.name in menu
        assert page.read_text().startswith("# ")
