"""Six published models in their own runtimes, in processes that can import nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.artifacts import TOLERANCE, export_model, run_elsewhere, worst_error
from benchmarks.run_artifacts import RUNTIMES

SMALL: dict[str, dict[str, Any]] = {
    "bpnet": {"length": 60, "filters": 4, "dilated": 2},
    "chrombpnet": {"length": 220, "profile": 30, "filters": 4, "bias_filters": 2, "dilated": 2},
    "danq": {"length": 80, "scale": 0.02, "outputs": 3},
    "deepstarr": {"length": 49},
    "optimus_5prime": {"length": 24},
    "scbasset": {"length": 256, "scale": 0.02, "cells": 4},
}
BATCHES = (1, 3, 8)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    for name, build in SMALL.items():
        export_model(name, folder / name, build, BATCHES)
    return folder


@pytest.mark.parametrize("runtime", sorted(RUNTIMES))
def test_same_numbers(exported: Path, runtime: str) -> None:
    run_elsewhere(runtime, exported)
    errors = {name: worst_error(exported / name, runtime, BATCHES) for name in SMALL}
    assert max(errors.values()) <= TOLERANCE, errors
