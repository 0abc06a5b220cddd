"""Benchmarks that no other test runs, at sizes that take seconds: they follow the package as it changes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks import growth, precision


def test_precision() -> None:
    rows = precision.rows_for("optimus_5prime")
    assert {r.precision for r in rows} == {"tf32", "bfloat16"}
    for row in rows:
        assert row.ours_correlation > 0.99
        assert row.ours_error < row.naive_error


def test_growth() -> None:
    point = growth.measure("convolutions", 64, 2, ranges=7)
    assert (point.ranges, point.sequences) == (7, 2)
    quadratic = [replace(point, length=n, seconds=3e-6 * n**2) for n in (10, 100, 1000)]
    assert growth.slope(quadratic, lambda p: p.seconds, lambda p: p.length) == pytest.approx(2)
