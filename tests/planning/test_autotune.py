"""Autotuning: the stopwatch decides, is asked once, and never changes the numbers."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastism_compiler.ir.kernels import KernelShape
from fastism_compiler.passes.base import Candidate
from fastism_compiler.passes.select_kernels import SelectKernelsPass

import fastism_compiler as fc
from fastism_compiler.planning.autotune import Timings, Tuner
from tests.graphs import GRAPHS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FASTISM_COMPILER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_tuned_program_gives_the_same_numbers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the machine is measured once, which takes longer than the rest of this."""
    model = next(iter(GRAPHS.values()))()
    plain, tuned = (fc.compile(model, verify=False, **options) for options in ({"jit": False}, {"autotune": True}))
    (x,) = [np.random.default_rng(0).random((3, *i.shape[1:])).astype(np.float32) for i in model.inputs]
    np.testing.assert_allclose(tuned(x), plain(x), atol=1e-5, rtol=1e-4)
    timings = json.loads((folder / "timings.json").read_text())
    assert any(" kernel toeplitz " in key for key in timings)
    assert all(0 < seconds < 60 for key, seconds in timings.items() if " machine " not in key)
    monkeypatch.setattr("fastism_compiler.host.calibration.least_seconds", lambda call: pytest.fail("measured twice"))
    machine = Tuner(True, "float32", Timings(folder / "timings.json")).machine()
    assert 1e8 < machine.multiply_adds < 1e15
    assert 1e8 < machine.bytes < 1e14
    assert 1e-9 < machine.start < 1e-2


def test_timings_are_taken_once_and_kept(tmp_path: Path) -> None:
    timings = Timings(tmp_path / "new" / "timings.json")
    assert timings.get("a", lambda: 1.5) == 1.5
    assert timings.get("a", lambda: pytest.fail("measured twice")) == 1.5
    assert Timings(timings.path).get("a", lambda: pytest.fail("not kept")) == 1.5
    assert Timings(timings.path).get("b", lambda: 2.5) == 2.5
    assert json.loads(timings.path.read_text()) == {"a": 1.5, "b": 2.5}


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": "fast"}', b"\xff\xfe"])
def test_a_broken_file_is_started_anew(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "timings.json"
    path.write_bytes(content)
    assert Timings(path).get("a", lambda: 1.0) == 1.0
    assert json.loads(path.read_text()) == {"a": 1.0}


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert Timings(tmp_path / "file" / "timings.json").get("a", lambda: 1.0) == 1.0


@pytest.mark.parametrize("kernel", SelectKernelsPass().kernels)
@pytest.mark.parametrize("jit", [False, True])
def test_every_kernel_can_be_timed(tmp_path: Path, kernel: str, jit: bool) -> None:
    tuner = Tuner(jit, "float32", Timings(tmp_path / "timings.json"))
    assert 0 < tuner.kernel_seconds(Candidate(kernel, KernelShape(4, 7, 11, 3, 2, 6, 2))) < 60


class FakeEngine:
    """An engine whose scans take as long as its tile size says."""

    def __init__(self, size: int) -> None:
        self.size, self.graph, self.tiling = size, fc.ir.Graph("g"), self
        self.context = SimpleNamespace(batch_size=2)

    def rows(self, sequences: int) -> int:
        return self.size >> 20


def test_the_tile_size_with_the_shortest_scan_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {2: 3.0, 4: 1.0, 8: 2.0, 16: 5.0, 32: 4.0, 64: 6.0}
    monkeypatch.setattr("fastism_compiler.planning.autotune._time_scan", lambda engine, _: times[engine.size >> 20])
    tuner = Tuner(True, "float32", Timings(tmp_path / "timings.json"))
    x: list[Any] = [np.zeros((2, 5, 4))]
    assert tuner.fastest_tile_bytes(FakeEngine, x, most=64 << 20) == 4 << 20  # type: ignore[arg-type]
    assert tuner.fastest_tile_bytes(FakeEngine, x, most=3 << 20) == 2 << 20  # type: ignore[arg-type]
    assert tuner.fastest_tile_bytes(FakeEngine, x, most=1 << 20) == 1 << 20  # type: ignore[arg-type]
