"""The fuzzer of the readers: a short run finds nothing, and notices faults that are put into readers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fuzz_files
from benchmarks.file_damage import first_difference
from benchmarks.file_targets import TARGETS, Target
from benchmarks.fuzz_files import main, plan, run_chunk
from fastism_compiler.genomics import bed

LIGHT = [t for t in TARGETS if not t.heavy]
BED = next(t for t in TARGETS if t.name == "in.bed")


def chunk(target: Target, folder: Path, inputs: int = 40) -> fuzz_files.Outcome:
    return run_chunk(target, range(inputs), 7, folder, folder / "kept")


@pytest.mark.parametrize("target", LIGHT, ids=lambda t: t.name)
def test_a_short_run_finds_nothing(target: Target, tmp_path: Path) -> None:
    outcome = chunk(target, tmp_path, 10 if target.name == "options" else 40)
    assert not outcome.failures
    assert outcome.read + outcome.refused.total() == (10 if target.name == "options" else 40)


def test_the_same_seed_draws_the_same_inputs(tmp_path: Path) -> None:
    one, other = tmp_path / "1", tmp_path / "2"
    one.mkdir()
    other.mkdir()
    assert chunk(BED, one).refused == chunk(BED, other).refused


def test_a_crash_of_another_kind_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bed, "whole_number", int)
    outcome = chunk(BED, tmp_path, 120)
    assert any(f["wrong"].startswith("ValueError") for f in outcome.failures)
    assert any((tmp_path / "kept").iterdir()), "the input is kept"


def _changed(read: Any, change: Any) -> Any:
    def changed(path: Path, skip: bool) -> Iterator[Any]:
        # the good file is read as it is
        yield from read(path, skip) if path.parent.name == "good" else change(read(path, skip))

    return changed


def _without_the_second(items: Iterator[Any]) -> Iterator[Any]:
    return (item for number, item in enumerate(items) if number != 1)


def _with_another_end(items: Iterator[Any]) -> Iterator[Any]:
    return ((chrom, start, end + (number == 2), *rest) for number, (chrom, start, end, *rest) in enumerate(items))


def _slow(items: Iterator[Any]) -> Iterator[Any]:
    time.sleep(2)
    return items


@pytest.mark.parametrize(
    ("change", "wrong"),
    [(_without_the_second, "changed|missing"), (_with_another_end, "changed"), (_slow, "more than")],
)
def test_faults_of_readers_are_noticed(
    change: Any, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setattr(fuzz_files, "SECONDS", 0.5)
    folder = tmp_path / "good"
    folder.mkdir()
    target = replace(BED, read=_changed(BED.read, change))
    outcome = chunk(target, folder, 2 if change is _slow else 30)
    assert outcome.failures
    assert any(word in f["wrong"] for f in outcome.failures for word in wrong.split("|"))


def test_the_command_runs_processes_and_sums_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--inputs", "30", "--only", "in.bed", "--kept", str(tmp_path), "--json", str(tmp_path / "r.json")]
    assert main(arguments) == 0
    assert '"inputs": 30' in (tmp_path / "r.json").read_text()
    assert main(["--only", "in.bed", "--number", "3", "--kept", str(tmp_path)]) == 0
    assert '"failures": []' in capsys.readouterr().out


def test_every_target_has_its_share() -> None:
    chunks = plan(20_000, list(TARGETS))
    assert {t.name for t, _ in chunks} == {t.name for t in TARGETS}
    assert 20_000 <= sum(len(n) for _, n in chunks) < 20_000 + len(TARGETS)


def test_the_first_difference() -> None:
    assert [first_difference(b"abc", other) for other in (b"abd", b"abc", b"ab", b"xbc", b"abcd")] == [2, 3, 2, 0, 3]
