"""A published model in its own runtimes, in processes that can import nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.artifacts import TOLERANCE, export_model, run_elsewhere, worst_error
from benchmarks.run_artifacts import RUNTIMES

# two outputs, one of them along the sequence; `python -m benchmarks.artifacts` runs every model of `fc.models`
NAME = "bpnet"
BUILD: dict[str, Any] = {"length": 60, "filters": 6, "dilated": 2}
BATCHES = (2,)


def test_same_numbers(tmp_path: Path) -> None:
    """One process for each runtime, which takes longer to start than the model takes to run."""
    export_model(NAME, tmp_path / NAME, BUILD, BATCHES, jit=False)
    for runtime in RUNTIMES:
        run_elsewhere(runtime, tmp_path)
    errors = {runtime: worst_error(tmp_path / NAME, runtime, BATCHES) for runtime in RUNTIMES}
    assert max(errors.values()) <= TOLERANCE, errors
