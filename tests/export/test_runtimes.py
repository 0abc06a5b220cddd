"""Three published models in their own runtimes, in processes that can import nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.artifacts import TOLERANCE, export_model, run_elsewhere, worst_error
from benchmarks.run_artifacts import RUNTIMES

# dilated convolutions and two inputs, a recurrent layer, convolutions and pools in a row;
# `python -m benchmarks.artifacts` runs every model of `fc.models`
SMALL: dict[str, dict[str, Any]] = {
    "chrombpnet": {"length": 220, "profile": 30, "filters": 4, "bias_filters": 2, "dilated": 2},
    "danq": {"length": 80, "scale": 0.02, "outputs": 3},
    "optimus_5prime": {"length": 24},
}
BATCHES = {"chrombpnet": (2,), "danq": (1,), "optimus_5prime": (3,)}


@pytest.mark.parametrize("name", sorted(SMALL))
def test_same_numbers(tmp_path: Path, name: str) -> None:
    """One test a model, so that no two workers export the same ones."""
    export_model(name, tmp_path / name, SMALL[name], BATCHES[name], jit=False)
    for runtime in RUNTIMES:
        run_elsewhere(runtime, tmp_path)
    errors = {runtime: worst_error(tmp_path / name, runtime, BATCHES[name]) for runtime in RUNTIMES}
    assert max(errors.values()) <= TOLERANCE, errors
