"""How commands end: one message on standard error and an exit code, a traceback only where it is asked for."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import pytest
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.cli.failures import Commands
from fastism_compiler.models.randomize import randomize
from fastism_compiler.plot import logo_figure, save
from tests.runs.models import save as save_model
from tests.runs.models import small_model, write_fasta

LENGTH = 30
SEQUENCE = "ACGTTGCAAC" * 3


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_model(small_model(LENGTH), tmp_path_factory.mktemp("model"))


def run(*arguments: str | Path | int, **options: Any) -> Any:
    return CliRunner().invoke(main, [str(a) for a in arguments], **options)


def failing(error: BaseException, *arguments: str, env: dict[str, str] | None = None) -> Any:
    """What a command that raises `error` ends with."""

    @click.group(cls=Commands)
    @click.option("--debug", is_flag=True, envvar="FASTISM_COMPILER_DEBUG")
    def group(debug: bool) -> None:
        pass

    @group.command()
    def fail() -> None:
        raise error

    return CliRunner().invoke(group, [*arguments, "fail"], env=env)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (fc.InputError("a rule", got="a\x1b[31mb"), 2, "Error: a rule\ngot:      a\\x1b[31mb\n"),
        (fc.RunError("a rule"), 1, "Error: a rule\n"),
        (OSError(errno.ENOENT, "No such file", "/proc/x"), 2, "Error: No such file: /proc/x\n"),
        (MemoryError("1 TiB"), 1, "Error: memory is used up (1 TiB); a smaller --batch-size takes less\n"),
        (KeyboardInterrupt(), 130, "Stopped. What is finished is kept; the same command goes on from there.\n"),
    ],
)
def test_known_errors(error: BaseException, code: int, message: str) -> None:
    result = failing(error)
    assert (result.exit_code, result.stderr, result.stdout) == (code, message, "")


def test_an_unexpected_error_is_one_line_that_asks_to_report_it() -> None:
    result = failing(ZeroDivisionError("by\nzero"))
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "a fault of fastism-compiler (ZeroDivisionError: by zero). Please report it" in result.stderr
    for shown in (failing(ZeroDivisionError(), "--debug"), failing(KeyError("x"), env={"FASTISM_COMPILER_DEBUG": "1"})):
        assert shown.stderr.startswith("Traceback")
        assert "Please report it" in shown.stderr
    assert len(failing(fc.InputError("x" * 10_000)).stderr) < 1100


@pytest.mark.parametrize("output", ["/proc/x", "/proc/self/x/y", "/dev/null/x"])
def test_outputs_where_nothing_can_be_written(model: str, output: str, tmp_path: Path) -> None:
    fasta = write_fasta(tmp_path / "in.fa", {"a": SEQUENCE})
    result = run("scan", model, fasta, output, "--no-verify")
    assert result.exit_code in (1, 2)
    assert "Error: " in result.stderr
    assert "fault of" not in result.stderr


@pytest.mark.parametrize("output", ["", "/", "."])
def test_outputs_without_a_name(model: str, output: str) -> None:
    result = run("scan", model, "in.fa", output, "--to", "tsv")
    assert (result.exit_code, "an output needs a name" in result.stderr) == (2, True), result.stderr


def test_a_large_batch_size_is_cut_to_the_rows_that_exist(model: str, tmp_path: Path) -> None:
    fasta = write_fasta(tmp_path / "in.fa", {f"s{i}": SEQUENCE for i in range(5)})
    import zarr

    for number, size in enumerate((99_999_999, 10**30)):
        result = run("scan", model, fasta, tmp_path / str(number), "--no-verify", "--batch-size", size)
        assert result.exit_code == 0, result.output
        store = zarr.open_group(str(tmp_path / str(number)), mode="r")
        assert store.attrs["block"] == 8
        assert store["scores/head"].chunks[0] == 8
    assert run("scan", model, fasta, tmp_path / "1", "--no-verify", "--batch-size", 10**30).exit_code == 0


def test_second_inputs_in_files_are_checked(tmp_path: Path) -> None:
    layers = keras.layers
    sequence, cell = layers.Input((LENGTH, 4), name="sequence"), layers.Input((1,), dtype="int32", name="cell")
    dose = layers.Input((1,), name="dose")
    y = layers.Concatenate()([layers.Flatten()(layers.Conv1D(2, 3)(sequence)), dose])
    y = layers.Concatenate()([y, layers.Flatten()(layers.Embedding(5, 2)(cell))])
    path = save_model(randomize(keras.Model([sequence, cell, dose], layers.Dense(1)(y))), tmp_path)
    x = np.eye(4)[np.arange(2 * LENGTH).reshape(2, LENGTH) % 4]
    for name, cells, doses, told in (
        ("token", [[1], [5]], [[0.5], [1.0]], "int32, tokens 0 .. 4"),
        ("nan", [[1], [4]], [[0.5], [np.nan]], "NaN or infinity"),
        ("large", [[1], [4]], [[0.5], [1e39]], "1e+39"),
    ):
        np.savez(tmp_path / "in.npz", sequence=x, cell=np.array(cells), dose=np.array(doses))
        result = run("scan", path, tmp_path / "in.npz", tmp_path / name, "--no-verify")
        assert (result.exit_code, told in result.stderr, "[1]" in result.stderr) == (2, True, True), result.stderr
    np.savez(tmp_path / "in.npz", sequence=x, cell=np.array([[1], [-1]]), dose=np.ones((2, 1)))
    assert run("scan", path, tmp_path / "in.npz", tmp_path / "good", "--no-verify").exit_code == 0


def test_texts_that_a_spreadsheet_would_run_are_quoted(model: str, tmp_path: Path) -> None:
    names = ['=HYPERLINK("x")', "+1", "@x", "-a", "plain"]
    fasta = write_fasta(tmp_path / "in.fa", dict.fromkeys(names, SEQUENCE))
    result = run("scan", model, fasta, tmp_path / "out", "--no-verify", "--to", "tsv", "--window", 1)
    assert result.exit_code == 0, result.output
    written = {line.split("\t")[0] for line in (tmp_path / "out.tsv").read_text().splitlines()[1:]}
    assert written == {f"'{name}" for name in names[:4]} | {"plain"}


@pytest.mark.parametrize("name", [r"$\frac$", "$a$", "$", r"a\$b$c", "100% _^{}"])
def test_names_in_pictures_are_no_formulas(name: str, tmp_path: Path) -> None:
    figure = logo_figure({name: np.eye(4)}, spans={name: {name: (0, 2)}})
    save(figure, tmp_path / "x.svg")
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        save(figure, tmp_path / "text.svg")
    assert f">{name}</text>" in (tmp_path / "text.svg").read_text()


@pytest.mark.parametrize(
    ("options", "fault"),
    [(["--also", "MODEL", "--combine", "scores"], "only `variants`"), (["--combine", "logits"], "for several models")],
)
def test_models_are_combined_only_where_that_is_done(options: list[str], fault: str, model: str) -> None:
    done = run("explain", model, *[model if option == "MODEL" else option for option in options])
    assert done.exit_code == 2 and fault in done.output
