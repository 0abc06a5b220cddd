from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import pytest

# a trace makes many objects that stay: collecting among them as often as by default is a twentieth of the time
gc.set_threshold(100_000, 20, 50)

TESTS = Path(__file__).parent
GOLDEN = TESTS / "golden"
OF_FILES = ("cli", "formats", "report", "runs")
"""Tests of files: their programs, which have no `jit=`, are not compiled by XLA, but where processes of their own run
them, and where other tests do."""
RUN_ONCE = ("api", "equivalence", "frontend", "mutations", "runtime", "results", "emit", "host", "planning", *OF_FILES)
"""Tests that run most programs once or twice: what they compile with `jit=False` runs op by op, as tracing takes longer
than that. Those with the mark `traced` run what only a trace can hold."""


@pytest.fixture(scope="session", autouse=True)
def _nothing_waits_for_the_disk() -> Iterator[None]:
    """No test cuts the power: to wait until files are on the disk was a tenth of the time of tests that write them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def _files_without_xla(request: pytest.FixtureRequest) -> Iterator[None]:
    """Options whose caller says nothing about `jit` are those of `jit=False`."""
    if not request.path.relative_to(TESTS).as_posix().startswith(OF_FILES):
        yield
        return
    from fastism_compiler.options import CompileOptions  # not above: tests of ir/ and passes/ load no TensorFlow

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CompileOptions.__init__.__kwdefaults__, "jit", False)
        yield


@pytest.fixture(autouse=True)
def _run_once_op_by_op(request: pytest.FixtureRequest) -> Iterator[None]:
    """Programs of these tests that XLA does not compile are not traced."""
    path = request.path.relative_to(TESTS).as_posix()
    if not path.startswith(RUN_ONCE) or request.node.get_closest_marker("traced"):
        yield
        return
    from fastism_compiler.runtime.traced import op_by_op  # not above: tests of ir/ and passes/ load no TensorFlow

    with op_by_op():
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files")


class Golden:
    """Compares text with `tests/golden/<module>/<test>.txt`; a missing file fails."""

    def __init__(self, path: Path, update: bool) -> None:
        self.path, self.update = path, update

    def __call__(self, text: str) -> None:
        if self.update:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(text)
        assert self.path.is_file(), f"no golden file {self.path}; make it with --update-golden and read it"
        assert text == self.path.read_text(), f"differs from {self.path}; see --update-golden"


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    module = request.module.__name__.rsplit(".", 1)[-1].removeprefix("test_")
    path = GOLDEN / module / f"{request.node.name.removeprefix('test_')}.txt"
    return Golden(path, request.config.getoption("--update-golden"))
