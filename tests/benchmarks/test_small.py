"""Benchmarks that no other test runs, at sizes that take seconds: they follow the package as it changes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import chains, growth, long, pairs, peer_crested, precision, predictions, tiles


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


def test_predictions(capsys: pytest.CaptureFixture[str]) -> None:
    predictions.main(["--models", "optimus_5prime"])
    row, summary = capsys.readouterr().out.splitlines()[1:]
    assert row.startswith("optimus_5prime") and "off by" in summary


def test_tiles() -> None:
    choices = tiles.measure("optimus_5prime")
    assert [c.chosen for c in choices].count(True) == 1
    assert len({c.rows for c in choices}) == len(choices) > 1
    assert all(c.seconds > 0 for c in choices)


def test_chains() -> None:
    row = chains.measure(length=120, filters=(32,), batch=1, rounds=1)
    assert (row.filters, row.length, row.batch) == ("32", 120, 1)
    assert min(row.predicted, row.measured, row.cpu) > 0


def test_long_models(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"length": 160, "filters": 2, "blocks": 1, "crop": 50}
    monkeypatch.setitem(long.CASES, "spliceai_gene", long.Case("spliceai", small, 5, (1,), reach=3, pair=140))
    row = long.run_case("spliceai_gene")
    assert (row.length, row.positions) == (160, 5)
    assert row.naive_setting.startswith("pairs of 140 letters")
    assert row.error < 1e-3 and min(row.naive_s, row.ours_s, row.speed_up) > 0
    assert long.table([row]).splitlines()[-1].startswith("| spliceai_gene | 160 | 5 |")


def test_the_table_beside_crested() -> None:
    row = peer_crested.Row("legnet", 230, 2.0, 128, 9.0, 0.5, 4.0, 1e-5)
    assert peer_crested.table([row]).splitlines()[-1] == "| legnet | 230 | 2 | 128 | 0.5 (9) | 4.0x | 1.0e-05 |"


def test_pairs(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "NAIVE_ROWS", 16)
    pairs.main(["--models", "optimus_5prime", "--positions", "4", "--within", "2", "--json", str(tmp_path / "p.json")])
    assert capsys.readouterr().out.splitlines()[-1].startswith("| optimus_5prime | 5 |")
    (row,) = json.loads((tmp_path / "p.json").read_text())
    assert row["speed_up"] == pytest.approx(row["naive_s"] / row["ours_s"])
