"""`--import`, `--custom` and `--unsafe-load`: a user's own layers, by name, in every command that reads a model."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import pytest
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.runs.jobs import settings_of
from fastism_compiler.runs.programs import compile_programs
from tests.runs.models import write_fasta

LAYERS = """
import keras
import fastism_compiler as fc

class Scaled(keras.layers.Layer):
    def call(self, x):
        return 2 * x

class Outer:
    Scaled = Scaled
"""

REGISTERS = """
import keras
import fastism_compiler as fc
from {layers} import Scaled

keras.saving.get_custom_objects()["Scaled"] = Scaled
fc.register_layer(Scaled, kind="see_through", linear=True)
"""


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with a layer that stands in a module of the current folder."""

    class Scaled(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return 2 * x

    inputs = keras.Input((30, 4))
    x = keras.layers.Conv1D(2, 3)(Scaled(name="mine")(inputs))
    keras.Model(inputs, keras.layers.GlobalMaxPooling1D()(x), name="net").save(tmp_path / "model.keras")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path / "model.keras"


def write_modules(folder: Path, name: str) -> None:
    (folder / f"{name}_layers.py").write_text(LAYERS)
    (folder / f"{name}_registers.py").write_text(REGISTERS.format(layers=f"{name}_layers"))


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_a_missing_class_says_how_to_give_it(model: Path) -> None:
    result = run("explain", model)
    assert result.exit_code == 2
    assert "Scaled" in result.output
    assert "--custom Scaled=MODULE:NAME" in result.output
    assert len(result.output) < 700


def test_custom_names_a_class(model: Path) -> None:
    write_modules(model.parent, "custom")
    for place in ("custom_layers:Scaled", "custom_layers:Outer.Scaled"):
        result = run("explain", model, "--custom", f"Scaled={place}")
        assert result.exit_code == 0, result.output
    for given, message in (
        ("Scaled", "NAME=MODULE:CLASS"),
        ("Scaled=custom_layers", "NAME=MODULE:CLASS"),
        ("Scaled=custom_layers:Absent", "no such class"),
        ("Scaled=absent_module:Scaled", "cannot be imported"),
    ):
        result = run("explain", model, "--custom", given)
        assert result.exit_code == 2
        assert message in result.output


def test_import_runs_a_module_that_registers(model: Path) -> None:
    write_modules(model.parent, "imported")
    try:
        result = run("explain", model, "--import", "imported_registers")
        assert result.exit_code == 0, result.output
        (model.parent / "broken.py").write_text("raise RuntimeError('no licence')")
        result = run("verify", model, "--import", "broken")
        assert result.exit_code == 2
        assert "'broken': RuntimeError: no licence" in result.output
    finally:
        keras.saving.get_custom_objects().pop("Scaled", None)
        fc.unregister_layer(f"{sys.modules['imported_layers'].__name__}.Scaled")


def test_a_scan_keeps_what_its_workers_need(model: Path) -> None:
    """Workers load the model by the settings in the store."""
    write_modules(model.parent, "scanned")
    fasta = write_fasta(model.parent / "in.fa", {"a": "ACGTT" * 6})
    options = ["--quiet", "--no-verify", "--batch-size", "1", "--window", "4"]
    result = run("scan", model, fasta, "out.zarr", *options, "--custom", "Scaled=scanned_layers:Scaled")
    assert result.exit_code == 0, result.output
    manifest = json.loads((model.parent / "out.zarr.manifest.json").read_text())
    settings = settings_of(manifest)
    assert (settings.custom, settings.imports, settings.safe_mode) == (("Scaled=scanned_layers:Scaled",), (), True)
    assert compile_programs(str(model), settings, 1).forward.batch_size == 1
    with pytest.raises(fc.ModelError, match="Scaled"):
        compile_programs(str(model), replace(settings, custom=()), 1)


def test_code_in_a_file_runs_with_unsafe_load_alone(tmp_path: Path) -> None:
    inputs = keras.Input((30, 4))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(tmp_path / "model.keras")
    result = run("explain", tmp_path / "model.keras")
    assert result.exit_code == 2
    assert "--unsafe-load" in result.output
    result = run("explain", tmp_path / "model.keras", "--unsafe-load")
    assert result.exit_code == 0, result.output
