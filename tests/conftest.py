from __future__ import annotations

import gc
import inspect
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
WITHOUT_XLA = (
    "api",
    "cli",
    "docs/test_pages.py",
    "export/test_damage.py",
    "export/test_hostile_programs.py",
    "formats",
    "frontend",
    "genomics",
    "mutations",
    "report",
    "results",
    "runs",
)
"""Tests of what lies around programs. XLA is for `equivalence`, `export`, `runtime`, and processes of their own."""
OF_DEFAULTS = "api/test_options.py"
RUN_ONCE = ("emit", "equivalence", "host", "planning", "runtime", *WITHOUT_XLA)
"""Tests that run most programs once or twice: what they compile with `jit=False` runs op by op, as tracing takes longer
than that. Those with the mark `traced` run what only a trace can hold."""


@pytest.fixture(scope="session", autouse=True)
def _nothing_waits_for_the_disk() -> Iterator[None]:
    """No test cuts the power: to wait until files are on the disk was a tenth of the time of tests that write them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def _without_xla(request: pytest.FixtureRequest) -> Iterator[None]:
    """`jit` is False where a test says nothing about it."""
    path = request.path.relative_to(TESTS).as_posix()
    if not path.startswith(WITHOUT_XLA) or path == OF_DEFAULTS:
        yield
        return
    from fastism_compiler import compile  # not above: tests of ir/ and passes/ load no TensorFlow
    from fastism_compiler.options import CompileOptions

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CompileOptions.__init__.__kwdefaults__, "jit", False)
        names = list(inspect.signature(compile).parameters)[-len(compile.__defaults__ or ()) :]
        defaults = zip(names, compile.__defaults__ or (), strict=True)
        patch.setattr(compile, "__defaults__", tuple(False if name == "jit" else default for name, default in defaults))
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
