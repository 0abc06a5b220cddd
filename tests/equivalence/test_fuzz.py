"""Random models equal naive ISM; `python -m benchmarks.fuzz` runs any number of them."""

from __future__ import annotations

import pickle
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import fuzz, fuzz_grid
from benchmarks.faults import FAULTS
from benchmarks.fuzz_checks import Checked, MismatchError, _judge
from benchmarks.fuzz_specs import MODES

MODELS = 15
OP_BY_OP = ("float64", "float32", "integers")


def test_random_models() -> None:
    summary = fuzz.summarise(fuzz.run(MODELS, first=2026, modes=OP_BY_OP), failures=[])
    assert summary["models"] >= MODELS
    assert summary["refused"] == {}
    assert summary["windowed"] > MODELS // 2
    assert summary["share_of_multiply_adds_in_windows"] > 0.5


@pytest.mark.parametrize("mode", sorted(set(MODES)))
def test_every_way_to_check(mode: str) -> None:
    assert fuzz.run(3, first=2027, modes=[mode])[f"mode {mode}"] >= 3


@pytest.mark.parametrize(
    "fault", ["a reference window is stale", "a change ends one early", "a replacement is off its carrier"]
)
def test_injected_faults_are_caught(fault: str) -> None:
    # the models of test_random_models, which pass without the fault
    with FAULTS[fault](), pytest.raises(fuzz.Found):
        fuzz.run(MODELS, first=2026, shrink=False, modes=OP_BY_OP)


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_breaks_something_that_is_there(fault: str) -> None:
    with FAULTS[fault]():
        pass


def test_a_failure_travels_between_processes() -> None:
    found = pickle.loads(pickle.dumps(fuzz.Found({"mode": "jitted"}, MismatchError("an error of 1"))))
    assert found.case == {"mode": "jitted"}
    assert "MismatchError: an error of 1" in str(found)


def test_a_failure_is_shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_on_pools(case: dict[str, Any]) -> Checked:
        if any(node.get("layer", "").endswith("Pooling1D") for node in case["spec"]["nodes"]):
            raise ValueError("a pool")
        return Checked("windowed")

    monkeypatch.setattr(fuzz, "check_case", fails_on_pools)
    with pytest.raises(fuzz.Found, match="a pool") as info:
        fuzz.run(200, first=7)
    (node,) = info.value.case["spec"]["nodes"]
    assert node["config"] == {"pool_size": 1, "strides": None, "padding": "valid"}


def test_a_failure_is_saved_as_a_file_that_runs_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [
        {"layer": "Conv1D", "config": {"filters": 2, "kernel_size": 3}, "inputs": [0]},
        {"side": "sequence", "inputs": [1]},
    ]
    spec = {"length": 7, "input": "letters", "nodes": nodes, "heads": ["gap"]}
    path = tmp_path / "failure.py"
    path.write_text(fuzz.standalone({"mode": "float32", "relations": False, "spec": spec, "ranges": [(0, 1), (4, 7)]}))
    with FAULTS["a mean is a little off"]():
        exec(compile(path.read_text(), path, "exec"), {"__name__": "__main__"})
    lines = capsys.readouterr().out.splitlines()[-2:]
    for line, span in zip(lines, ("0-1", "4-7"), strict=True):
        assert line.startswith(f"range {span}: largest difference")
        assert float(line.split()[-1]) > 1e-6


@pytest.mark.parametrize(("length", "part"), [(9, 0), (5, 1), (12, 2), (13, 3)])
def test_every_small_layer_in_exact_integers(length: int, part: int) -> None:
    """A quarter of them at each length, with every padding: three paddings follow each other in the list."""
    assert fuzz_grid.check(length, None, slice(part, None, 4)) > 20


def test_small_layers_of_one_letter() -> None:
    assert fuzz_grid.check(1, None) > 20


def test_pairs_of_layers_in_exact_integers() -> None:
    first = ("Conv1D", {"filters": 2, "kernel_size": 4, "strides": 2, "padding": "same", "activation": "relu"})
    assert fuzz_grid.check(13, first, slice(0, None, 4)) > 20


@pytest.mark.parametrize(
    ("ours", "naive", "exact", "passes"),
    [
        (np.nan, -1.0, np.nan, True),  # a sum near the largest float32 overflowed in one order, not in another
        (np.nan, -1.0, -1.0, False),
        (-1.0, np.nan, np.nan, False),
        (-1.0, np.nan, -1.0, False),
        (np.inf, -np.inf, np.nan, False),
    ],
)
def test_a_nan_is_judged_by_float64(ours: float, naive: float, exact: float, passes: bool) -> None:
    values = [[np.array([[0.5, y]])] for y in (ours, naive, exact)]
    with nullcontext() if passes else pytest.raises(MismatchError):
        _judge(*values)
