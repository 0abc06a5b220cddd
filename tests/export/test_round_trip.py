"""Export, load, export again: the same numbers, the same metadata, without the model."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.emit.rows import BARRIER
from fastism_compiler.host.onnx_device import OnnxDevice
from fastism_compiler.models.randomize import randomize
from fastism_compiler.runtime import runtimes
from tests.export.programs import assert_same, compiled, every_call, inputs_of, model_named, tiny


@pytest.mark.parametrize("format", ["savedmodel", "ism"])
@pytest.mark.parametrize("whole", [False, True], ids=["tiles", "whole"])
def test_every_call_comes_back(format: str, whole: bool, tmp_path: Path) -> None:
    model = tiny()
    program = compiled(model, whole=whole, batch_size=4, jit=format == "savedmodel")
    manifest = program.export(tmp_path / "first", format)
    loaded = fc.load(tmp_path / "first")
    x = inputs_of(model, 3)
    assert_same(every_call(loaded, x), every_call(program, x))
    assert loaded.manifest == manifest
    assert str(loaded.plan) == str(program.plan)
    assert loaded.plan == program.plan
    assert str(loaded.graph) == loaded.text() == program.text()
    assert loaded.verify()
    assert loaded.verify(inputs_of(model, 9), ranges=3).sequences == 9
    loaded.export(tmp_path / "second", format)
    again = fc.load(tmp_path / "second")
    assert again.manifest == manifest
    for y, z in zip(every_call(again, x), every_call(loaded, x), strict=True):
        np.testing.assert_array_equal(y, z)


RUNTIMES = {"jax": "JAX runs the program, on cpu:0", "onnxruntime": "ONNX Runtime runs the program, on cpu"}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("whole", [False, True], ids=["tiles", "whole"])
def test_other_libraries_run_a_loaded_program(runtime: str, whole: bool, tmp_path: Path) -> None:
    model = tiny()
    program = compiled(model, whole=whole, batch_size=4)
    program.export(tmp_path / "a.ism", "ism")
    loaded, x = fc.load(tmp_path / "a.ism", runtime=runtime), inputs_of(model, 3)
    assert_same(every_call(loaded, x), every_call(program, x))
    assert loaded.plan.notes[-1] == loaded.notes[-1] == RUNTIMES[runtime]
    again = pickle.loads(pickle.dumps(loaded))
    assert again.notes == loaded.notes
    assert again.verify(x)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_other_libraries_run_what_was_made_for_xla(runtime: str, tmp_path: Path) -> None:
    """Fusion barriers, sums in place; and names that are not in the order of the model."""
    x, extra = keras.Input((60, 4), name="seq"), keras.Input((3,), name="a")
    y = keras.layers.Conv1D(16, 7, padding="same", activation="relu")(x)
    z = keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.MaxPooling1D(4)(y)))
    b = keras.layers.Dense(1)(keras.layers.Concatenate()([z, extra]))
    y = keras.layers.Conv1D(16, 5, padding="same", activation="relu")(y)
    ends = {"z": z, "b": b, "c": keras.layers.Conv1D(2, 5, padding="same")(y)}
    model = randomize(keras.Model([x, extra], ends))
    program = compiled(model, batch_size=2)
    program.export(tmp_path / "program")
    saved = (tmp_path / "program" / "saved_model.pb").read_bytes()
    assert b"XlaDynamicUpdateSlice" in saved
    assert BARRIER.encode() in saved
    loaded, inputs = fc.load(tmp_path / "program", runtime=runtime), inputs_of(model, 2)
    assert_same(every_call(loaded, inputs), every_call(program, inputs))


def test_runtimes_of_a_loaded_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(tiny(), batch_size=1, jit=False).export(tmp_path / "a.ism", "ism")
    compiled(tiny(), batch_size=1, precision="tf32").export(tmp_path / "rounded.ism", "ism")
    with pytest.raises(fc.OptionError, match="no such runtime"):
        fc.load(tmp_path / "missing.ism", runtime="torch")
    with pytest.raises(fc.UnsupportedError, match="precision='tf32' does not run on ONNX Runtime"):
        fc.load(tmp_path / "rounded.ism", runtime="onnxruntime")
    monkeypatch.setattr(runtimes, "onnx_device", lambda: OnnxDevice("cuda"))
    assert fc.load(tmp_path / "a.ism", runtime="auto").notes[-1] == "ONNX Runtime runs the program, on cuda"
    assert not any("runs the program" in note for note in fc.load(tmp_path / "rounded.ism", runtime="auto").notes)


def test_one_form_becomes_the_other(tmp_path: Path) -> None:
    program = compiled(tiny(), batch_size=2)
    manifest = program.export(tmp_path / "folder", "savedmodel")
    fc.load(tmp_path / "folder").export(tmp_path / "file.ism", "ism")
    fc.load(tmp_path / "file.ism").export(tmp_path / "back", "savedmodel")
    assert fc.load(tmp_path / "back").manifest == manifest
    names = {p.relative_to(tmp_path / "folder") for p in (tmp_path / "folder").rglob("*") if p.is_file()}
    assert {p.relative_to(tmp_path / "back") for p in (tmp_path / "back").rglob("*") if p.is_file()} == names


def test_a_loaded_program_has_no_other_options(tmp_path: Path) -> None:
    compiled(tiny(), batch_size=2).export(tmp_path / "folder", "savedmodel")
    with pytest.raises(fc.OptionError, match="no such option for a loaded program"):
        fc.load(tmp_path / "folder").export(tmp_path / "again", with_data=True)


CASES: dict[str, dict[str, Any]] = {
    "several_outputs": {"jit": False},
    "other_inputs_meet_first": {"jit": False},
    "tokens_embedded": {"ranges": [(0, 1), (2, 4), (9, 15)]},
    "recurrent": {"ranges": [(3, 4), (0, 9)], "jit": False},
    "attention": {"jit": False},
    "masking_layer": {"ranges": [(1, 2), (5, 6)], "jit": False},
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_models_of_many_kinds(name: str, tmp_path: Path) -> None:
    model = model_named(name)
    program = compiled(model, batch_size=2, **CASES[name])
    program.export(tmp_path / "program.ism", "ism")
    loaded = fc.load(tmp_path / "program.ism")
    x = inputs_of(model, 3)
    for call in (lambda p: p(x), lambda p: p(x, delta=True), lambda p: p.reference(x)):
        ours, theirs = call(loaded), call(program)
        keras.tree.assert_same_structure(ours, theirs)
        assert_same(keras.tree.flatten(ours), keras.tree.flatten(theirs))
    assert loaded.inputs == program.inputs
    assert loaded.ranges.equals(program.ranges)


def test_letters_selection_and_reduction_are_kept(tmp_path: Path) -> None:
    model = model_named("several_outputs")
    program = compiled(
        model,
        batch_size=2,
        channels=[2, 0],
        alphabet="GA",
        outputs={"profile": (slice(None), [1, 0])},
        reduce=lambda y: {"sum": keras.ops.sum(y["profile"], -1), "both": (y["profile"], y["profile"] * 2)},
    )
    program.export(tmp_path / "program")
    loaded = fc.load(tmp_path / "program")
    x = inputs_of(model, 2)
    for ours, theirs in ((loaded.saturate(x), program.saturate(x)), (loaded(x, [0.5, 2]), program(x, [0.5, 2]))):
        assert set(ours) == {"sum", "both"}
        assert isinstance(ours["both"], tuple)
        assert_same(keras.tree.flatten(ours), keras.tree.flatten(theirs))
    with pytest.raises(fc.ReplacementError):
        loaded.variants(x, [(0, 0, "T")])


def test_narrow_dtypes_are_cast_back(tmp_path: Path) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = tiny(batch_norm=False)
    finally:
        keras.config.set_dtype_policy("float32")
    program = compiled(model, batch_size=2)
    program.export(tmp_path / "program")
    y = fc.load(tmp_path / "program")(inputs_of(model, 2))
    assert y.dtype == np.float16
    assert any("float16" in note for note in fc.load(tmp_path / "program").plan.notes)


def test_float64_runs_without_xla(tmp_path: Path) -> None:
    from fastism_compiler.frontend.keras.float64 import float64_clone

    model = float64_clone(tiny())
    program = compiled(model, batch_size=2)
    program.export(tmp_path / "program")
    loaded, x = fc.load(tmp_path / "program"), inputs_of(model, 2)
    np.testing.assert_allclose(loaded(x), program(x), rtol=1e-12)
    with pytest.raises(fc.UnsupportedError, match="ONNX Runtime cannot run the program"):
        fc.load(tmp_path / "program", runtime="onnxruntime")(x)
    with pytest.raises(fc.UnsupportedError, match="a float64 program does not run on JAX"):
        fc.load(tmp_path / "program", runtime="jax")
    with pytest.raises(fc.UnsupportedError, match="float64"):
        program.export(tmp_path / "modules", "stablehlo")


def test_a_row_that_cannot_be_trusted_is_scored_whole_by_the_loaded_program(tmp_path: Path) -> None:
    """An infinite reference: the artifact's own functions say NaN, the loaded program the number."""
    x = inputs = keras.Input((9, 4))
    x = keras.layers.Conv1D(2, 3, activation="exponential", padding="same", kernel_initializer="ones")(x)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Flatten()(x)))
    program = compiled(model, batch_size=1)
    program.export(tmp_path / "program")
    loaded = fc.load(tmp_path / "program")
    sequence = np.zeros((1, 9, 4), np.float32)
    sequence[0, 4] = 60
    ours, theirs = loaded(sequence), program(sequence)
    np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(theirs))
    finite = np.isfinite(theirs)
    assert finite.any()
    np.testing.assert_allclose(ours[finite], theirs[finite], rtol=1e-5)
    assert loaded.rescored > 0
    plain = loaded.function(x=sequence, replacement=np.zeros((1, 4), np.float32))
    assert np.isnan(plain[loaded.manifest.outputs[0].name].numpy()[finite]).all()


def test_weights_are_variables_in_a_savedmodel(tmp_path: Path) -> None:
    import tensorflow as tf

    model = tiny()
    compiled(model, batch_size=1).export(tmp_path / "program")
    module = tf.saved_model.load(str(tmp_path / "program"))
    x = inputs_of(model, 2)
    before = module.signatures["reference"](x=x)["head"].numpy()
    bias = next(v for v in module.weights if v.shape == (2,))
    bias.assign_add([1.0, -2.0])
    np.testing.assert_allclose(module.signatures["reference"](x=x)["head"] - before, [[1, -2]] * 2, rtol=1e-4)


def test_a_program_is_loaded_where_its_layers_are_unknown(tmp_path: Path) -> None:
    @keras.saving.register_keras_serializable("mine")
    class Halves(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x / 2

    inputs = keras.Input((12, 4))
    model = keras.Model(inputs, keras.layers.Flatten()(Halves()(keras.layers.Conv1D(2, 3)(inputs))))
    program = compiled(model, batch_size=1)
    program.export(tmp_path / "program.ism", "ism")
    x = inputs_of(model, 1)
    np.save(tmp_path / "x.npy", x)
    code = (
        f"import numpy as np, fastism_compiler as fc; p = fc.load({str(tmp_path / 'program.ism')!r})\n"
        f"np.save({str(tmp_path / 'y.npy')!r}, p(np.load({str(tmp_path / 'x.npy')!r})))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2], capture_output=True)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), program(x))


def test_what_a_loaded_program_cannot_do_is_said(tmp_path: Path) -> None:
    compiled(tiny(), batch_size=1).export(tmp_path / "program")
    loaded = fc.load(tmp_path / "program")
    with pytest.raises(fc.UnsupportedError, match="compile the model again"):
        loaded.export(tmp_path / "other", "onnx")
    with pytest.raises(fc.UnsupportedError, match="compile the model again"):
        loaded.to_keras_layer()
