"""`scan`, `variants`, `convert`, `bench`, `demo` as commands: summaries, exit codes, other formats."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import zarr
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from tests.runs.models import save, small_model, write_fasta

SEQUENCE = "ACGTTGCAAC" * 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(small_model(30), tmp_path_factory.mktemp("model"))


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_scan_with_every_option(model: str, tmp_path: Path) -> None:
    fasta = write_fasta(tmp_path / "in.fa", {"a": SEQUENCE, "b": SEQUENCE[::-1], "c": "AC"})
    options = ["--window", 4, "--outputs", "head:0-2", "--reduce", "mean", "--score", "log2fc", "--pseudocount", 2]
    options += ["--rc", "--skip", "--batch-size", 1, "--to", "hdf5", "--to", "tsv", "--json"]
    result = run("scan", model, fasta, tmp_path / "out.zarr", *options)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["complete"]
    assert (told["tasks"], told["computed"]) == (2, 2)
    assert told["counts"]["left out: a record is not as long as the model's input (or pad it)"] == 1
    settings = zarr.open_group(str(tmp_path / "out.zarr"), mode="r").attrs["settings"]
    assert (settings["reduce"], settings["score"], settings["outputs"]) == ("mean", "log2fc", ["head:0-2"])
    for name in ("out.zarr", "out.h5", "out.tsv"):
        assert (tmp_path / f"{name}.manifest.json").exists()
        assert (tmp_path / name).exists()


def test_what_is_printed(model: str, tmp_path: Path) -> None:
    fasta = write_fasta(tmp_path / "in.fa", {"a": SEQUENCE, "b": "N" * 30, "c": "AC"})
    command = ["scan", model, fasta, tmp_path / "out", "--no-verify", "--skip"]
    told = run(*command)
    assert "complete (2 of 2 tasks computed now)" in told.output or "complete (1 of 1 tasks" in told.output
    assert "unknown letters: 30" in told.output
    assert "in.fa:5" not in told.output
    assert "first left out" in run(*command, "--verbose").output
    assert "in.fa:5" in run(*command, "--verbose").output
    assert run(*command, "--quiet").output == ""


def test_ranges_from_a_bed_file(model: str, tmp_path: Path) -> None:
    fasta = write_fasta(tmp_path / "in.fa", {"a": SEQUENCE})
    (tmp_path / "ranges.bed").write_text("x\t2\t5\nx\t10\t11\n")
    for number, ranges in enumerate(("2-5,10-11", str(tmp_path / "ranges.bed"))):
        result = run("scan", model, fasta, tmp_path / str(number), "--ranges", ranges, "--no-verify")
        assert result.exit_code == 0, result.output
        assert zarr.open_group(str(tmp_path / str(number)), mode="r")["ranges"][:].tolist() == [[2, 5], [10, 11]]


def test_variants_and_convert(model: str, tmp_path: Path) -> None:
    genome = write_fasta(tmp_path / "genome.fa", {"c": SEQUENCE * 5})
    (tmp_path / "in.tsv").write_text("c\t51\tA\tG\nc\t52\tC\tCTT\n")
    output = tmp_path / "effects.zarr"
    result = run("variants", model, genome, tmp_path / "in.tsv", output, "--to", "vcf", "--no-verify")
    assert result.exit_code == 0, result.output
    assert "insertions: 1" in result.output
    assert (tmp_path / "effects.vcf").read_text().count("FASTISM_head=") == 2
    result = run("convert", output, tmp_path / "x.tsv", "--to", "tsv", "--track", "head:1")
    assert result.exit_code == 0, result.output
    assert len((tmp_path / "x.tsv").read_text().splitlines()) == 3
    result = run("convert", output, tmp_path / "x.h5", "--to", "hdf5")
    assert (result.exit_code, "holds scans of letters" in result.output) == (2, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--to", "vcf"], "a scan of letters"), (["--ranges", "2-5", "--to", "hdf5"], "tsv for a scan of ranges")],
)
def test_a_format_that_does_not_hold_it_is_refused_before_the_run(
    model: str, tmp_path: Path, options: list[str], message: str
) -> None:
    fasta = write_fasta(tmp_path / "in.fa", {"a": SEQUENCE})
    result = run("scan", model, fasta, tmp_path / "out", "--no-verify", *options)
    assert (result.exit_code, message in result.output) == (2, True), result.output
    assert not (tmp_path / "out").exists()
    (tmp_path / "in.tsv").write_text("c\t51\tA\tG\n")
    result = run("variants", model, fasta, tmp_path / "in.tsv", tmp_path / "out", "--to", "bigwig")
    assert (result.exit_code, "tsv, vcf for variants" in result.output) == (2, True), result.output


def test_exit_codes(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fasta = write_fasta(tmp_path / "in.fa", {"a": SEQUENCE})
    assert run("scan", model).exit_code == 2
    assert run("scan", model, fasta, tmp_path / "out", "--shard", "0/3").exit_code == 2
    assert run("scan", model, fasta, tmp_path / "out", "--channels", "a,b").exit_code == 2

    def broken(*_: Any, **__: Any) -> None:
        raise fc.VerificationError("the program and naive ISM disagree")

    with monkeypatch.context() as patch:
        patch.setattr("fastism_compiler.compiled.CompiledISM.verify", broken)
        result = run("scan", model, fasta, tmp_path / "out")
    assert (result.exit_code, "disagree" in result.output) == (1, True)

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fastism_compiler.runs.run.Run.do", interrupted)
        result = run("scan", model, fasta, tmp_path / "out", "--no-verify")
    assert (result.exit_code, "the same command goes on" in result.output) == (130, True)
    assert run("scan", model, fasta, tmp_path / "out", "--no-verify").exit_code == 0


def test_bench(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("fastism_compiler.cli.bench")  # the command has its name
    monkeypatch.setattr(module, "_NAIVE_ROWS", (16,))
    result = run("bench", model, "--sequences", "1", "--repeats", "1", "--json")
    assert result.exit_code == 0, result.output
    timing = json.loads(result.stdout)
    assert timing["positions"] == 30
    assert timing["speed_up"] == pytest.approx(timing["naive_s"] / timing["ours_s"])
    assert "per sequence" in run("bench", model, "--sequences", "1", "--repeats", "1").output


def test_demo(tmp_path: Path) -> None:
    result = run("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    assert "strongest importance: chr1:" in result.output
    assert {"scan.zarr", "scan.bedgraph", "variants.vcf"} <= {p.name for p in (tmp_path / "demo").iterdir()}
    refused = run("demo", "--out", tmp_path / "demo")
    assert (refused.exit_code, "holds something" in refused.output) == (2, True), refused.output


def test_help_shows_examples_and_exit_codes() -> None:
    for command in ("scan", "variants", "convert", "plot"):
        text = run(command, "--help").output
        examples = [line for line in text.splitlines() if line.startswith(f"  fastism-compiler {command} ")]
        assert len(examples) >= 2, "one line each"
        assert "\\b" not in text
        assert command == "plot" or "Exit codes: 0 done" in text


def test_progress_is_shown_on_a_terminal_only(model: str, tmp_path: Path) -> None:
    """The same command with standard error on a terminal, and in a file."""
    import os
    import pty
    import subprocess
    import sys

    fasta = write_fasta(tmp_path / "in.fa", {f"s{i}": SEQUENCE for i in range(8)})
    command = [sys.executable, "-m", "fastism_compiler", "scan", model, str(fasta), "--no-verify", "--batch-size", "1"]
    master, terminal = pty.openpty()
    shown = subprocess.Popen([*command, str(tmp_path / "a")], stderr=terminal, stdout=subprocess.PIPE)
    os.close(terminal)
    told = b""
    try:
        while piece := os.read(master, 4096):
            told += piece
    except OSError:  # the other end was closed
        pass
    assert shown.wait() == 0
    assert b"sequences" in told
    assert b"8/8" in told
    assert b"/s" in told
    hidden = run(*command[3:], tmp_path / "b", "--quiet")
    assert hidden.exit_code == 0
    assert "sequences" not in hidden.stderr
    assert hidden.stdout == ""
