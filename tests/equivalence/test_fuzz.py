"""Random models equal naive ISM in float64; `python -m benchmarks.fuzz` runs any number of them."""

from __future__ import annotations

import pytest

from benchmarks.faults import FAULTS
from benchmarks.fuzz import run


def test_random_models() -> None:
    outcomes = run(200, first=2026)
    valid = sum(n for outcome, n in outcomes.items() if outcome != "invalid")
    assert valid >= 200
    assert outcomes["refused"] == 0
    assert outcomes["windowed"] > 50


@pytest.mark.parametrize(
    "fault", ["a reference window is stale", "a change ends one early", "a replacement is off its carrier"]
)
def test_injected_faults_are_caught(fault: str) -> None:
    # the models of test_random_models, which pass without the fault
    with FAULTS[fault](), pytest.raises(Exception):  # noqa: B017 (a crash counts as well as a mismatch)
        run(200, first=2026, shrink=False)
