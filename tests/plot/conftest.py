from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.plot.store import write_store


@pytest.fixture(scope="package")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_store(tmp_path_factory.mktemp("scan") / "scores.zarr")


@pytest.fixture(scope="package")
def ranges_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ranges = np.array([[8, 12], [0, 4], [3, 6]])
    return write_store(tmp_path_factory.mktemp("ranges") / "scores.zarr", ranges=ranges)
