"""Two published models in their own runtimes, in processes that can import nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.artifacts import TOLERANCE, export_model, run_elsewhere, worst_error
from benchmarks.run_artifacts import RUNTIMES

# dilated convolutions and two inputs; a pool and a recurrent layer
# `python -m benchmarks.artifacts` runs every model of `fc.models`
SMALL: dict[str, dict[str, Any]] = {
    "chrombpnet": {"length": 220, "profile": 30, "filters": 4, "bias_filters": 2, "dilated": 2},
    "danq": {"length": 80, "scale": 0.02, "outputs": 3},
}
BATCHES = {"chrombpnet": (2,), "danq": (1,)}


def test_same_numbers(tmp_path: Path) -> None:
    """One process for each runtime, which takes longer to start than the models take to run."""
    for name, build in SMALL.items():
        export_model(name, tmp_path / name, build, BATCHES[name], jit=False)
    for runtime in RUNTIMES:
        run_elsewhere(runtime, tmp_path)
    errors = {(n, runtime): worst_error(tmp_path / n, runtime, BATCHES[n]) for n in SMALL for runtime in RUNTIMES}
    assert max(errors.values()) <= TOLERANCE, errors
