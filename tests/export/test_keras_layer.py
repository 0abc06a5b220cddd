"""The program as a Keras layer: values, gradients against naive ISM, training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from tests.export.programs import compiled, inputs_of, model_named, tiny


def naive(model: Any, x: Any, replacement: Any) -> list[Any]:
    """`[B, L, *out]` by whole mutants, in differentiable operations."""
    batch, length, channels = x.shape
    here = tf.eye(length)[None, :, :, None]
    mutants = x[:, None] * (1 - here) + replacement * here
    outputs = keras.tree.flatten(model(tf.reshape(mutants, [-1, length, channels]), training=False))
    return [tf.reshape(y, [batch, length, *y.shape[1:]]) for y in outputs]


def weighted(outputs: list[Any]) -> Any:
    """A number that depends on every output in its own way."""
    total = tf.constant(0.0)
    for y in outputs:
        weights = tf.cos(tf.cast(tf.range(tf.size(y)), y.dtype))
        total += tf.reduce_sum(tf.reshape(y, [-1]) * weights)
    return total


@pytest.mark.parametrize("whole", [False, True], ids=["tiles", "whole"])
@pytest.mark.parametrize("name", ["conv_same_strided", "global_pools", "normalised_over_channels", "recurrent"])
def test_gradients_equal_those_of_naive_ism(name: str, whole: bool) -> None:
    model = model_named(name)
    layer = compiled(model, whole=whole, jit=name == "conv_same_strided").to_keras_layer()
    # no one-hot: where a maximum is reached twice, there is more than one gradient
    rng = np.random.default_rng(0)
    x = tf.constant(rng.standard_normal((2, *model.inputs[0].shape[1:])), tf.float32)
    replacement = tf.constant(rng.standard_normal((1, 4)), tf.float32)
    gradients = []
    for outputs in (lambda: keras.tree.flatten(layer(x, replacement)), lambda: naive(model, x, replacement)):
        with tf.GradientTape() as tape:
            tape.watch([x, replacement])
            loss = weighted(outputs())
        gradients.append(tape.gradient(loss, [x, replacement, *(v.value for v in model.trainable_variables)]))
    for ours, theirs in zip(*gradients, strict=True):
        assert np.abs(theirs).max() > 0
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5 * np.abs(theirs).max())


def test_the_gradient_where_a_replacement_equals_the_sequence() -> None:
    """The mutant does not depend on what it replaces, even where it replaces it by the same."""
    model = tiny()
    layer = compiled(model).to_keras_layer()
    values = np.random.default_rng(0).standard_normal((1, 21, 4)).astype(np.float32)
    values[:, 7] = 0.3
    x = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, tf.fill([1, 4], 0.3))[:, 7]
    gradient = tape.gradient(y, x).numpy()
    assert np.abs(gradient).max() > 1e-3
    assert np.abs(gradient[:, 7]).max() < 1e-6 * np.abs(gradient).max()


def test_inside_a_model_that_is_trained() -> None:
    model = tiny()
    program = compiled(model)
    layer = program.to_keras_layer()
    outer_in = keras.Input((21, 4))
    outer = keras.Model(outer_in, keras.ops.mean(layer(outer_in), axis=1))
    x = inputs_of(model, 4)
    np.testing.assert_allclose(outer.predict(x, verbose=0), program(x).mean(axis=1), rtol=1e-4, atol=1e-6)
    assert len(outer.trainable_variables) == len(model.trainable_variables) == 8
    before = [v.numpy() for v in model.trainable_variables]
    outer.compile(keras.optimizers.SGD(0.05), "mse")
    targets = np.ones((4, 2), np.float32)
    first = outer.evaluate(x, targets, verbose=0)
    outer.fit(x, targets, epochs=3, verbose=0)
    assert outer.evaluate(x, targets, verbose=0) < first
    assert all(np.abs(v.numpy() - b).max() > 0 for v, b in zip(model.trainable_variables, before, strict=True))
    np.testing.assert_allclose(outer.predict(x, verbose=0), program(x).mean(axis=1), rtol=1e-4, atol=1e-6)


def test_inputs_and_nests_are_the_models() -> None:
    model = model_named("several_outputs")
    program = compiled(model)
    x = inputs_of(model, 2)
    ours, theirs = program.to_keras_layer()(x), program(x)
    assert set(ours) == set(theirs)
    for key in theirs:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=0, atol=1e-5 * np.abs(theirs[key]).max())
    model = model_named("other_inputs_meet_first")
    program = compiled(model)
    x = inputs_of(model, 2)
    np.testing.assert_allclose(program.to_keras_layer()(x), program(x), rtol=1e-4, atol=1e-5)


def test_mistakes(tmp_path: Path) -> None:
    layer = compiled(tiny()).to_keras_layer()
    with pytest.raises(fc.InputError, match="wrong shape"):
        layer(np.zeros((1, 22, 4), np.float32))
    inputs = keras.Input((21, 4))
    with pytest.raises(fc.UnsupportedError, match="compile the source model again"):
        keras.Model(inputs, layer(inputs)).save(tmp_path / "model.keras")
