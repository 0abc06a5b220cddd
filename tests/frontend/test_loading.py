"""Model files: honest ones load, damaged ones are said to be, and custom classes come from the user alone."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tf_keras

import fastism_compiler as fc
from fastism_compiler.archives import ALWAYS_ALLOWED
from fastism_compiler.frontend.keras import allowed
from fastism_compiler.frontend.keras.check_config import findings, known_names
from fastism_compiler.frontend.keras.file_config import opened, read_config
from fastism_compiler.frontend.keras.loading import load_model
from tests.frontend.model_files import bomb, changed, keras2, keras3, layer
from tests.frontend.test_hostile_files import refused
from tests.runs.models import write_fasta

L = keras.layers


SMALL: dict[str, dict[str, Any]] = {
    "basenji2": {"length": 512, "scale": 0.01, "tracks": 1, "crop": 1},
    "basset": {"length": 200},
    "beluga": {"length": 400, "scale": 0.03, "outputs": 2},
    "borzoi": {"length": 256, "scale": 0.01, "attention": 1, "tracks": 1, "crop": 1},
    "bpnet": {"length": 60, "filters": 2, "dilated": 1},
    "bpnet_control_tracks": {"length": 200, "filters": 2, "dilated": 1, "profile": 50},
    "chrombpnet": {"length": 200, "profile": 50, "filters": 2, "bias_filters": 2, "dilated": 1},
    "danq": {"length": 60, "scale": 0.02, "outputs": 2},
    "deepstarr": {"length": 60},
    "dilated_cnn": {"length": 60, "filters": 2, "dilated": 1, "classes": 2},
    "enformer": {"length": 512, "scale": 0.01, "attention": 1, "tracks": 1, "crop": 1},
    "factorized_basset": {"length": 200},
    "optimus_5prime": {},
    "promoterai": {"length": 60, "tracks": 2, "blocks": 4, "channels": 2, "crop": 10},
    "scbasset": {"length": 160, "scale": 0.02, "cells": 2},
    "sei": {"length": 64, "scale": 0.01, "bases": 4, "outputs": 2},
    "spliceai": {"length": 60, "filters": 2, "blocks": 1},
}


def test_the_published_models_are_all_here() -> None:
    assert sorted(SMALL) == sorted(fc.models.__all__)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_published_models_are_allowed_in_both_formats(name: str, tmp_path: Path) -> None:
    model = getattr(fc.models, name)(**SMALL[name])
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
        with opened(tmp_path / f"model{suffix}") as file:
            found = list(findings(read_config(file), known_names({}, keras)))
        if suffix == ".keras" or not any("ops" in type(o).__module__ for o in model.operations):
            assert found == []
        else:  # which HDF5 cannot hold
            assert {f.kind for f in found} == {"operation"}


@pytest.mark.parametrize("name", ["bpnet", "danq", "optimus_5prime"])
def test_published_models_load_from_both_formats(name: str, tmp_path: Path) -> None:
    model = getattr(fc.models, name)(**SMALL[name])
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
        loaded = load_model(tmp_path / f"model{suffix}")
        for w, z in zip(loaded.weights, model.weights, strict=True):
            np.testing.assert_array_equal(w, z)


class Doubled(L.Layer):  # type: ignore[misc]
    def call(self, x: Any) -> Any:
        return 2 * x

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


@keras.saving.register_keras_serializable("test_loading")
class Registered(Doubled):
    pass


@keras.saving.register_keras_serializable("test_loading")
def registered_activation(x: Any) -> Any:
    return 3 * x


def plain_activation(x: Any) -> Any:
    return 5 * x


def custom(path: Path, kind: Any, activation: Any = "relu") -> Path:
    inputs = keras.Input((20, 4))
    x = L.TimeDistributed(kind(name="mine"))(inputs)
    keras.Model(inputs, L.Dense(2, activation=activation)(L.GlobalMaxPooling1D()(x))).save(path)
    return path


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_custom_classes_come_from_the_user(suffix: str, tmp_path: Path) -> None:
    path = custom(tmp_path / f"model{suffix}", Doubled)
    refused(path, "Doubled", "'mine'", 'custom_objects={"Doubled"', "--custom Doubled=MODULE:NAME", "--import MODULE")
    assert isinstance(load_model(path, {"Doubled": Doubled}).layers[1].layer, Doubled)
    with keras.saving.custom_object_scope({"Doubled": Doubled}):
        assert load_model(path).layers
    refused(path, "Doubled", 'custom_objects={"Doubled"', safe_mode=False)  # Keras alone would not say what is missing


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_what_is_registered_with_keras_is_known(suffix: str, tmp_path: Path) -> None:
    assert load_model(custom(tmp_path / f"model{suffix}", Registered, registered_activation)).layers


def test_functions_come_from_the_user(tmp_path: Path) -> None:
    path = custom(tmp_path / "model.keras", Registered, plain_activation)
    refused(path, "plain_activation")
    assert load_model(path, {"plain_activation": plain_activation}).layers


def test_a_lambda_may_name_a_function(tmp_path: Path) -> None:
    """Of the user, of keras.ops, or an activation; it carries no code then."""
    inputs = keras.Input((20, 4))
    path = tmp_path / "model.keras"
    x = L.Lambda(keras.activations.softplus)(L.Lambda(registered_activation)(inputs))
    keras.Model(inputs, L.Lambda(keras.ops.sin, name="last")(x)).save(path)
    refused(path, "sin of builtins")  # Keras saves it so that it cannot find it
    x = np.ones((1, 20, 4), "float32")
    loaded = load_model(path, {"sin": keras.ops.sin})
    np.testing.assert_allclose(loaded(x), np.sin(np.log1p(np.exp(3 * x))), rtol=1e-5)
    changed(path, lambda c: layer(c, "last")["config"]["function"].update(module="keras.ops"))
    np.testing.assert_allclose(load_model(path)(x), np.sin(np.log1p(np.exp(3 * x))), rtol=1e-5)


def test_keras_2_custom_classes(tmp_path: Path) -> None:
    class Halved(tf_keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x / 2

    inputs = tf_keras.Input((20, 4))
    for suffix in (".keras", ".h5"):
        path = tmp_path / f"model{suffix}"
        tf_keras.Model(inputs, tf_keras.layers.GlobalMaxPooling1D()(Halved(name="mine")(inputs))).save(path)
        refused(path, "Halved", "'mine'", "--custom Halved=MODULE:NAME")
        assert load_model(path, {"Halved": Halved}).layers


def test_a_model_inside_a_model_may_be_compiled(tmp_path: Path) -> None:
    """Models are loaded without compiling them, but Keras does compile those inside."""
    inner = keras.Sequential([keras.Input((20, 4)), L.Dense(2)])
    inner.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.1, 5)), "mse", metrics=["mae"])
    inputs = keras.Input((20, 4))
    model = keras.Model(inputs, inner(inputs))
    model.compile("sgd", loss=plain_activation)  # a loss of the user's own, which scoring has no use for
    model.save(tmp_path / "model.keras")
    assert load_model(tmp_path / "model.keras").layers


def test_weights_only(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((20, 4)), L.Dense(2)])
    model.save_weights(tmp_path / "new.weights.h5")
    refused(tmp_path / "new.weights.h5", "weights only: load them into the model in Python", "load_weights")
    old = tf_keras.Sequential([tf_keras.layers.Dense(2, input_shape=(4,))])
    old.save_weights(tmp_path / "old.h5")
    refused(tmp_path / "old.h5", "weights only")
    with h5py.File(tmp_path / "scores.h5", "w") as file:
        file["scores"] = [1]
    refused(tmp_path / "scores.h5", "holds no Keras model", "scores")


def test_damaged(tmp_path: Path) -> None:
    for write, suffix in ((keras3, ".keras"), (keras3, ".h5"), (keras2, ".keras")):
        content = write(tmp_path / f"model{suffix}").read_bytes()
        for share in (0.0, 0.3, 0.9):
            path = tmp_path / f"cut{suffix}"
            path.write_bytes(content[: int(len(content) * share)])
            refused(path, "damaged")
    for text in ("", "{", "[]", "{}", '{"class_name": 3}', "[" * 100_000):
        path = tmp_path / "text.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", text)
        refused(path)
        with h5py.File(tmp_path / "text.h5", "w") as file:
            file.attrs["model_config"] = text[:60_000]
        refused(tmp_path / "text.h5")
    (tmp_path / "empty.keras").write_bytes(zip_of({"other": b""}))
    refused(tmp_path / "empty.keras", "damaged", "config.json")
    refused(tmp_path, "does not exist")


def zip_of(parts: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def test_an_archive_that_would_fill_the_memory(tmp_path: Path) -> None:
    refused(bomb(keras3(tmp_path / "model.keras")), "far more than it holds", f"{ALWAYS_ALLOWED:,}")


def test_the_list_knows_all_of_this_keras() -> None:
    """A new layer of Keras fails here until somebody has looked at what it does."""
    left_out = {"FlaxLayer", "JaxLayer", "Layer", "TFSMLayer", "TorchModuleWrapper", "Wrapper"}
    there = {name for name, kind in vars(L).items() if isinstance(kind, type)}
    assert there - allowed.LAYERS == left_out
    for module, names in (("initializers", allowed.INITIALIZERS), ("regularizers", allowed.REGULARIZERS)):
        classes = {n for n, kind in vars(getattr(keras, module)).items() if isinstance(kind, type)}
        assert classes - names == {module[:-1].capitalize()}
    functions = {n for n, f in vars(keras.activations).items() if callable(f) and not n.startswith("_")}
    assert functions - allowed.ACTIVATIONS == {"deserialize", "get", "serialize"}
    older = {name for name, kind in vars(tf_keras.layers).items() if isinstance(kind, type)}
    assert older - allowed.LAYERS - allowed.LAYERS_OF_KERAS_2 == {
        "AbstractRNNCell",
        "DenseFeatures",
        "Layer",
        "Wrapper",
    }


def test_a_changed_name_is_found_in_its_layer(tmp_path: Path) -> None:
    path = changed(keras3(tmp_path / "model.keras"), lambda c: layer(c, "head").update(class_name="Sparkling"))
    refused(path, "Sparkling of keras.layers", "'head'")


@pytest.mark.parametrize("source", ["environment", "file"])
def test_another_backend_is_refused_before_keras_is_imported(source: str, tmp_path: Path) -> None:
    code = """
import sys, fastism_compiler as fc
from fastism_compiler.cli import main
for use in (lambda: fc.compile, lambda: fc.FastISM, lambda: fc.load, lambda: fc.scan("m.keras", *sys.argv[1:])):
    try:
        use()
    except fc.ModelError as error:
        assert "KERAS_BACKEND=tensorflow" in str(error) and "jax" in str(error), error
    else:
        raise AssertionError("not refused")
try:
    main(["explain", sys.executable])
except SystemExit as end:
    assert end.code == 2, end.code
assert not {"keras", "tensorflow", "jax"} & set(sys.modules)
"""
    environment = {"KERAS_HOME": str(tmp_path), "PATH": ""}
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    if source == "environment":
        (tmp_path / "keras.json").write_text('{"backend": "tensorflow"}')
        environment["KERAS_BACKEND"] = "jax"
    root = str(Path(__file__).parents[2])
    paths = [str(write_fasta(tmp_path / "a.fa", {"one": "ACGT"})), str(tmp_path / "out.zarr")]
    command = [sys.executable, "-c", code, *paths]
    done = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "KERAS_BACKEND=tensorflow" in done.stderr
