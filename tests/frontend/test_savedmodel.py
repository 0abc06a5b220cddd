"""SavedModel folders: compiled from their graph, judged by it, refused where they do more than compute."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize
from tests.programs import compile_tiles

L = keras.layers
LENGTH = 24


@pytest.fixture(scope="module")
def model() -> Any:
    sequence = keras.Input((LENGTH, 4), name="sequence")
    x = L.Conv1D(5, 5, padding="same", activation="gelu", dilation_rate=2)(sequence)
    x = L.BatchNormalization()(x)
    profile = L.Conv1D(2, 3, name="profile")(x)
    x = L.Dense(4, activation="relu")(L.Flatten()(L.MaxPooling1D(3)(x)))
    return randomize(keras.Model(sequence, [profile, L.Dense(1, name="counts")(x)]))


@pytest.fixture(scope="module")
def folder(model: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "model"
    model.export(path, verbose=False)
    return path


@pytest.fixture(scope="module")
def program(folder: Path) -> Any:
    return compile_tiles(folder, jit=False)  # verifies itself


@pytest.fixture(scope="module")
def x() -> Any:
    return np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 4, (2, LENGTH))]


def test_it_is_windowed_and_equals_the_model_it_was_saved_from(program: Any, model: Any, x: Any) -> None:
    assert {layer.layer_class for layer in program.plan.layers} <= {"local", "pooling", "aggregation"}
    ours, theirs = program(x), compile_tiles(model, jit=False, verify=False)(x)
    for y, z in zip(ours.values(), theirs, strict=True):
        np.testing.assert_allclose(y, z, rtol=1e-5, atol=1e-5)


def test_its_oracle_in_float64_is_exact(program: Any, x: Any) -> None:
    for exact, y in zip(program.naive.in_float64()([x]), program.naive([x]), strict=True):
        assert exact.dtype == np.float64
        np.testing.assert_allclose(exact, y, rtol=1e-5, atol=1e-5)


def test_it_is_exported(program: Any, x: Any, tmp_path: Path) -> None:
    program.export(tmp_path / "program.ism", "ism")
    for y, z in zip(fc.load(tmp_path / "program.ism")(x).values(), program(x).values(), strict=True):
        np.testing.assert_allclose(y, z, rtol=1e-6, atol=1e-6)


def test_it_is_pickled(program: Any, x: Any) -> None:
    again = pickle.loads(pickle.dumps(program))
    for y, z in zip(again(x).values(), program(x).values(), strict=True):
        np.testing.assert_allclose(y, z, rtol=1e-6, atol=1e-6)


@pytest.mark.traced
def test_a_loop_runs_whole_and_the_plan_says_so(tmp_path: Path, x: Any) -> None:
    sequence = keras.Input((LENGTH, 4))
    model = randomize(keras.Model(sequence, L.GRU(3)(L.Conv1D(4, 3)(sequence))))
    model.export(tmp_path / "model", verbose=False)
    program = compile_tiles(tmp_path / "model", jit=False)
    assert any("runs whole" in note for note in program.plan.notes)
    np.testing.assert_allclose(program(x), compile_tiles(model, jit=False, verify=False)(x), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(program.naive.in_float64()([x])[0], model(x), rtol=1e-5, atol=1e-5)


class _Reader(tf.Module):
    """A function that reads a file of this machine."""

    @tf.function(input_signature=[tf.TensorSpec([None, LENGTH, 4], tf.float32)])
    def __call__(self, x: Any) -> Any:
        size = tf.strings.length(tf.io.read_file("/etc/hostname"))
        return tf.reduce_sum(x, axis=1) + tf.cast(size, tf.float32)


def test_a_graph_that_does_more_than_compute_is_refused(tmp_path: Path) -> None:
    module = _Reader()
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.__call__)
    with pytest.raises(fc.ModelError, match="ReadFile"):
        fc.compile(tmp_path / "model")


def test_folders_that_are_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(fc.ModelError, match=r"saved_model\.pb"):
        fc.compile(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"nothing")
    with pytest.raises(fc.ModelError, match="damaged"):
        fc.compile(tmp_path)
    with pytest.raises(fc.ModelError, match="cannot be loaded"):
        fc.compile(tmp_path, safe_mode=False)


def test_a_model_without_a_serving_function_is_refused(tmp_path: Path) -> None:
    tf.saved_model.save(tf.Module(), str(tmp_path / "model"))
    with pytest.raises(fc.ModelError, match="serving_default"):
        fc.compile(tmp_path / "model")
