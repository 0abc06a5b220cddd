"""Keras 2 models: loaded, converted, equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import fastism_compiler as fc
from fastism_compiler.frontend.keras import keras2
from tests.programs import compile_tiles

K = tf_keras.layers
LENGTH = 24
X = np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 4, (2, LENGTH))]


def randomized(model: Any) -> Any:
    rng = np.random.default_rng(1)
    model.set_weights([rng.random(w.shape) * 0.6 - 0.2 + (0.5 if w.ndim == 1 else 0) for w in model.get_weights()])
    return model


def with_tensorflow_calls() -> Any:
    x = inputs = tf_keras.Input((LENGTH, 4), name="sequence")
    x = K.Conv1D(5, 4, padding="same", activation="relu")(x)
    x = tf.nn.gelu(K.Add()([x, K.BatchNormalization()(x)])) * 2 + tf.reduce_mean(x, axis=1, keepdims=True) / 3.0
    x = tf.concat([x[:, 2:-2], tf.reverse(x, [1])[:, :20]], axis=-1)
    return tf_keras.Model(inputs, {"head": K.Dense(2)(K.LSTM(3)(x)), "track": x})


def nested_and_shared() -> Any:
    inner = tf_keras.Sequential([K.Conv1D(3, 3, activation="swish"), K.MaxPooling1D(2)])
    x = inputs = tf_keras.Input((LENGTH, 4))
    y = K.Average()([inner(x), inner(x[:, ::-1])])
    y = K.Bidirectional(K.GRU(2, return_sequences=True))(K.SeparableConv1D(4, 3)(y))
    return tf_keras.Model(inputs, K.TimeDistributed(K.Dense(2))(y))


def sequential() -> Any:
    return tf_keras.Sequential(
        [K.Input((LENGTH, 4)), K.Conv1D(4, 5), K.PReLU(shared_axes=[1]), K.GlobalMaxPooling1D(), K.Dense(1)]
    )


class Scaled(K.Layer):
    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")

    def call(self, x: Any) -> Any:
        return tf.math.sigmoid(x * self.scale)


def with_a_custom_layer() -> Any:
    x = inputs = tf_keras.Input((LENGTH, 4))
    return tf_keras.Model(inputs, K.GlobalAveragePooling1D()(Scaled()(K.Conv1D(4, 3)(x))))


def with_other_defaults() -> Any:
    x = inputs = tf_keras.Input((LENGTH, 4), name="in/x")
    x = K.SpatialDropout1D(0.1)(K.LeakyReLU(0.1)(K.Conv1D(4, 3)(x)))
    x = K.BatchNormalization()(K.Activation("hard_sigmoid")(x))
    return tf_keras.Model(inputs, K.LSTM(3, recurrent_activation="hard_sigmoid")(x))


def with_calls_that_stay_opaque() -> Any:
    x = inputs = tf_keras.Input((LENGTH, 4))
    x = tf.pad(tf.clip_by_value(K.Conv1D(4, 3)(x), -0.5, 0.7), [[0, 0], [1, 1], [0, 0]])
    return tf_keras.Model(inputs, [tf.cast(tf.argmax(x, -1), "float32"), 2 - x, tf.cumsum(x, 1)])


MODELS = [
    with_tensorflow_calls,
    nested_and_shared,
    sequential,
    with_a_custom_layer,
    with_other_defaults,
    with_calls_that_stay_opaque,
]


def naive(model: Any) -> list[np.ndarray[Any, Any]]:
    mutants = np.repeat(X[:, None], LENGTH, axis=1)
    mutants[:, range(LENGTH), range(LENGTH)] = 0
    outputs = tf.nest.flatten(model(mutants.reshape(-1, LENGTH, 4), training=False))
    return [np.asarray(y).reshape(len(X), LENGTH, *y.shape[1:]) for y in outputs]


@pytest.mark.parametrize("build", MODELS)
def test_a_keras_2_model_is_compiled(build: Any) -> None:
    model = randomized(build())
    program = compile_tiles(model, jit=False)
    for y, z in zip(tf.nest.flatten(program(X)), naive(model), strict=True):
        np.testing.assert_allclose(y, z, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("build", [sequential, with_a_custom_layer])
def test_layers_and_calls_are_not_stops(build: Any) -> None:
    """Custom layers run in TensorFlow operations, which are followed."""
    assert compile_tiles(randomized(build()), jit=False).plan.stops == ()


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_keras_2_file_is_loaded(tmp_path: Path, suffix: str) -> None:
    model = randomized(with_tensorflow_calls())
    path = tmp_path / f"model{suffix}"
    model.save(path)
    scores = compile_tiles(path, jit=False)(X)
    for y, z in zip(tf.nest.flatten(scores), naive(model), strict=True):
        np.testing.assert_allclose(y, z, atol=1e-6, rtol=1e-5)


def test_masked_tokens() -> None:
    inputs = tf_keras.Input((9,), dtype="int32")
    model = tf_keras.Model(inputs, K.GlobalAveragePooling1D()(K.Dense(3)(K.Embedding(5, 4, mask_zero=True)(inputs))))
    x = np.random.default_rng(0).integers(0, 5, (2, 9))
    scores = compile_tiles(model, jit=False)(x, 2)
    for position in range(9):
        mutant = x.copy()
        mutant[:, position] = 2
        np.testing.assert_allclose(scores[:, position], model(mutant), atol=1e-6)


def test_training_mode_is_refused_by_name() -> None:
    inputs = tf_keras.Input((LENGTH, 4))
    with pytest.raises(fc.UnsupportedError, match="noisy"):
        fc.compile(tf_keras.Model(inputs, K.Dropout(0.5, name="noisy")(inputs, training=True)))
    inner = tf_keras.Model(inputs, K.Dropout(0.5, name="noisy")(inputs, training=True))
    with pytest.raises(fc.UnsupportedError, match="noisy"):
        fc.compile(tf_keras.Model(inputs, inner(inputs)))


def test_without_a_graph_it_is_refused() -> None:
    class Sub(tf_keras.Model):
        def call(self, x: Any) -> Any:
            return x

    with pytest.raises(fc.ModelError, match="functional graph"):
        fc.compile(Sub())


def test_a_copy_that_differs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(keras2._OPERATIONS, "nn.gelu", keras2._Twin(keras2.ops.relu))
    with pytest.raises(fc.ModelError, match="gives other results"):
        fc.compile(randomized(with_tensorflow_calls()))


def test_a_file_of_neither_kind(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(b"nothing")
    with pytest.raises(fc.ModelError, match="damaged, or not a Keras model"):
        fc.compile(path)
