from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.models.randomize import randomize
from tests.graphs import GRAPHS


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "model.keras"
    randomize(GRAPHS["attention"]()).save(path)
    return str(path)


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, list(arguments))


def test_explain(model: str) -> None:
    result = run("explain", model)
    assert result.exit_code == 0, result.output
    assert "recomputed from multi_head_attention" in result.output
    assert "less arithmetic" in result.output
    plan = json.loads(run("explain", model, "--json").output)
    assert plan["layers"][0]["op"] == "conv"
    assert plan["naive_multiply_adds"] > plan["multiply_adds"]
    assert run("explain", model, "--graph").output.startswith("graph @")
    assert "the layer is named in stop_at" in run("explain", model, "--stop-at", plan["layers"][0]["layer"]).output


def test_verify(model: str) -> None:
    result = run("verify", model, "--ranges", "5")
    assert result.exit_code == 0, result.output
    assert "max error" in result.output and "output 0" not in result.output
    assert json.loads(run("verify", model, "--json").output)["outputs"][0]["passed"]


def test_mistakes_are_explained_without_a_traceback(model: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.keras"
    broken.write_bytes(b"?")
    for arguments, message in (
        (("explain", str(broken)), "could not be loaded"),
        (("explain", model, "--stop-at", "nowhere"), "stop_at"),
        (("explain", model, "--seq-input", "nothing"), "seq_input"),
        (("explain", str(tmp_path / "missing.keras")), "does not exist"),
    ):
        result = run(*arguments)
        assert result.exit_code == 2
        assert message in result.output
        assert "Traceback" not in result.output


def test_python_dash_m() -> None:
    command = [sys.executable, "-m", "fastism_compiler", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "version" in done.stdout


def test_export(model: str, tmp_path: Path) -> None:
    target = str(tmp_path / "program.ism")
    result = run("export", model, target, "--format", "ism")
    assert result.exit_code == 0, result.output
    assert "scan, saturate, reference" in result.output
    assert fc.load(target).ranges.count == 23
    for arguments, message in (
        ((target, "--format", "ism"), "the target exists"),
        ((str(tmp_path / "a"), "--batch-size", "2"), "goes with --format stablehlo"),
        ((str(tmp_path / "a"), "--function", "scan"), "goes with --format onnx"),
        ((str(tmp_path / "no" / "folder")), "cannot be written"),
    ):
        result = run("export", model, *([arguments] if isinstance(arguments, str) else arguments))
        assert result.exit_code == 2
        assert message in result.output
        assert "Traceback" not in result.output
    assert run("export", model, target, "--format", "ism", "--overwrite").exit_code == 0
