"""What is published: every file of the package is in the sdist and in its wheel, which works away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = {"fastism_compiler": "fastism_compiler", "ir": "fastism_compiler/ir", "passes": "fastism_compiler/passes"}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("published")
    subprocess.run([sys.executable, "-m", "build", "-o", str(folder), str(ROOT)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(published: Path) -> Path:
    (found,) = published.glob("fastism_compiler-*.whl")
    return found


def test_the_sdist_holds_what_a_build_needs(published: Path) -> None:
    (found,) = published.glob("fastism_compiler-*.tar.gz")
    with tarfile.open(found) as archive:
        held = {Path(*Path(name).parts[1:]).as_posix() for name in archive.getnames()}
    sources = {p.relative_to(ROOT).as_posix() for folder in FOLDERS for p in (ROOT / folder).rglob("*.py")}
    assert held >= sources | {"LICENSE", "README.md", "pyproject.toml"}


def test_it_holds_every_file_of_the_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        f"{target}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, target in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".css", ".js", ".typed") and "__pycache__" not in path.parts
    }
    assert held == expected


def test_it_runs_from_scan_to_report_away_from_the_checkout(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run(
        "-c", "import fastism_compiler as fc, fastism_compiler.ir as ir; print(fc.__file__); print(ir.__file__)"
    )
    assert all(line.startswith(str(tmp_path / "site")) for line in where.splitlines())
    run("-m", "fastism_compiler", "demo", "--out", "demo")
    (store,) = tmp_path.glob("demo/scan*.zarr")
    run("-m", "fastism_compiler", "report", str(store), "report.html", "--top", "1")
    assert "</html>" in (tmp_path / "report.html").read_text()
