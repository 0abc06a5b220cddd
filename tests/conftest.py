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

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session", autouse=True)
def _nothing_waits_for_the_disk() -> Iterator[None]:
    """No test cuts the power: to wait until files are on the disk was a tenth of the time of tests that write them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
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
