"""Functions that magnify what is close to 0, behind a reference that is far from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.oracle import naive_scan

L = keras.layers
ops = keras.ops

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "logarithm": lambda v: ops.log(ops.square(v)),
    "logarithm of a sum": lambda v: ops.log(ops.abs(v) + 1e-7),
    "reciprocal": ops.reciprocal,
    "denominator": lambda v: 3.0 / v,
    "root in a denominator": lambda v: ops.rsqrt(ops.square(v) + 1e-9),
    "root": lambda v: ops.sqrt(ops.relu(v) + 1e-9),
    "negative power": lambda v: ops.power(ops.abs(v), -0.5),
    "norm": lambda v: v / ops.norm(v, axis=-1, keepdims=True),
    "sign": ops.sign,
}
SMALL = {"sign": 1e-5}
"""The small weights, where they are not 1e-3: rounding of the large ones seldom turns the sign of such."""
LENGTH = 12


def with_one_large_letter(name: str, local: bool) -> Any:
    """A model whose logits are large where position 3 is an A, and small otherwise."""
    x = L.Input((LENGTH, 4), name="seq")
    y = L.Conv1D(3, 3, padding="same", use_bias=False)(x) if local else L.Dense(3, use_bias=False)(L.Flatten()(x))
    y = L.Activation(FUNCTIONS[name])(y)
    m = keras.Model(x, L.GlobalAveragePooling1D()(y) if local else y)
    weights = np.random.default_rng(0).normal(size=m.get_weights()[0].shape).astype("float32") * SMALL.get(name, 1e-3)
    weights[(1, 0) if local else 12] = 4e3
    m.set_weights([weights])
    return m


@pytest.mark.parametrize("local", [False, True], ids=["dense", "convolution"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_digits_are_lost(name: str, local: bool) -> None:
    model = with_one_large_letter(name, local)
    letters = np.random.default_rng(1).integers(1, 4, LENGTH)
    letters[3] = 0
    x = np.eye(4, dtype="float32")[letters][None]
    program = fc.compile(model, jit=False, verify=False)
    ranges = [(i, i + 1) for i in range(LENGTH)]
    (wanted,) = naive_scan(float64_clone(model), {"seq": x.astype("float64")}, ranges, lambda r: 0)
    (ours,) = keras.tree.flatten(program(x))
    (plain,) = naive_scan(model, {"seq": x}, ranges, lambda r: 0)
    allowed = 10 * np.abs(plain - wanted).max() + 2e-5 * np.abs(wanted).max()
    assert not program.plan.naive
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=allowed)


class Quiet(L.Layer):
    """A layer that the compiler cannot look into."""

    def call(self, x: Any) -> Any:
        return tf.ensure_shape(tf.numpy_function(np.tanh, [x], x.dtype), x.shape)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


def quiet(v: Any) -> Any:
    return Quiet()(v)


def norm(v: Any) -> Any:
    return L.LayerNormalization()(v)


SATURATING: dict[str, Callable[[Any], Any]] = {
    "relu": ops.relu,
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "exponential": ops.exp,
    "minimum": lambda v: ops.minimum(v, 6.0),
    "comparison": lambda v: ops.where(v > 0.1, 1.0, 0.0),
    "softmax over channels": lambda v: ops.softmax(v, axis=-1),
    "softmax over positions": lambda v: ops.softmax(v, axis=1),
    "maximum over positions": lambda v: ops.max(v, axis=1, keepdims=True),
    "custom": quiet,
}
LARGE = {"minimum": 1e8}
"""The large weights, where they are not negative."""


def of_a_convolution(function: Callable[[Any], Any]) -> Any:
    """A model of a function of three channels."""
    x = L.Input((LENGTH, 4), name="seq")
    y = function(L.Conv1D(3, 3, padding="same", use_bias=False)(x))
    return randomize(keras.Model(x, L.Dense(2)(L.Flatten()(y))))


def set_first_channel(model: Any, of_a: float, of_others: float | None = None) -> None:
    """Weights of the convolution's first channel."""
    kernel = model.weights[0].numpy()
    if of_others is not None:
        kernel[:, :, 0] = of_others
    kernel[:, 0, 0] = of_a
    model.weights[0].assign(kernel)


def one_a() -> Any:
    letters = np.random.default_rng(1).integers(1, 4, LENGTH)
    letters[3] = 0
    return np.eye(4, dtype="float32")[letters][None]


RANGES = [(i, i + 1) for i in range(LENGTH)]


def check(model: Any, x: Any, ours: Any) -> None:
    (wanted,) = naive_scan(model, {"seq": x}, RANGES, lambda r: 0)
    np.testing.assert_allclose(np.asarray(ours), wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("name", SATURATING)
def test_what_saturates_hides_no_loss(name: str) -> None:
    model = of_a_convolution(SATURATING[name])
    program = fc.compile(model, jit=False, verify=False)
    assert not program.plan.naive
    check(model, one_a(), program(one_a()))
    assert program.rescored == 0
    set_first_channel(model, LARGE.get(name, -1e8))
    check(model, one_a(), program(one_a()))
    assert program.rescored == 1  # the one that takes the A away


@pytest.mark.parametrize("name", ["logarithm of a sum", "denominator", "root"])
def test_a_channel_that_stays_large_hides_no_loss(name: str) -> None:
    model = of_a_convolution(FUNCTIONS[name])
    set_first_channel(model, 20.0, 1e-5)
    program = fc.compile(model, jit=False, verify=False)
    check(model, one_a(), program(one_a()))
    assert program.rescored == 1


def test_a_neighbour_that_stays_large_hides_no_loss() -> None:
    def of_channels(v: Any) -> Any:
        v = ops.transpose(v, (0, 2, 1))
        return ops.transpose(v * ops.rsqrt(ops.mean(ops.square(v), 1, keepdims=True) + 1e-12), (0, 2, 1))

    model = of_a_convolution(of_channels)
    kernel = model.weights[0].numpy() * 1e-5
    kernel[1, 0] = 100.0
    model.weights[0].assign(kernel)
    x = one_a()
    x[:, 4:6] = x[:, 3:4]  # more of A beside it
    program = fc.compile(model, jit=False, verify=False)
    assert not program.plan.naive
    check(model, x, program(x))
    assert 0 < program.rescored <= 3  # one for each A


def exported(path: Path) -> Any:
    model = of_a_convolution(ops.tanh)
    set_first_channel(model, -1e8)
    fc.compile(model, jit=False, verify=False).export(path)
    return model


def test_a_loaded_program_scores_again_what_lost_digits(tmp_path: Path) -> None:
    model = exported(tmp_path / "program.ism")
    loaded = fc.load(tmp_path / "program.ism")
    check(model, one_a(), loaded(one_a()))
    assert loaded.rescored == 1


def test_a_saved_model_has_nan_where_digits_are_lost(tmp_path: Path) -> None:
    model = exported(tmp_path / "saved")
    scan = tf.saved_model.load(str(tmp_path / "saved")).signatures["scan"]
    (results,) = scan(x=tf.constant(one_a()), replacement=tf.zeros((1, 4))).values()
    ours = results.numpy()
    lost = np.isnan(ours)[0].any(1)
    assert list(np.flatnonzero(lost)) == [3]
    (wanted,) = naive_scan(model, {"seq": one_a()}, RANGES, lambda r: 0)
    np.testing.assert_allclose(ours[:, ~lost], wanted[:, ~lost], rtol=1e-5, atol=1e-5)


NO_LOSS: dict[str, Callable[[Any], Any]] = {
    "swish": lambda v: v / (1.0 + ops.exp(-v)),
    "logarithm": lambda v: ops.log(ops.relu(v) + 1e-3),
    "norm": norm,
}


@pytest.mark.parametrize("name", NO_LOSS)
def test_rows_that_lose_nothing_are_not_scored_again(name: str) -> None:
    model = of_a_convolution(NO_LOSS[name])
    program = fc.compile(model, jit=False, verify=False)
    check(model, one_a(), program(one_a()))
    assert not program.plan.naive
    assert program.rescored == 0


def test_large_activations_of_relu_are_not_scored_again() -> None:
    x = L.Input((LENGTH, 4), name="seq")
    y = L.Conv1D(32, 5, activation="relu")(L.Conv1D(32, 5, padding="same", activation="relu")(x))
    model = randomize(keras.Model(x, L.Dense(2)(L.Dense(16, activation="relu")(L.Flatten()(y)))))
    model.weights[0].assign(model.weights[0] * 1000)
    program = fc.compile(model, jit=False, verify=False, pipeline=fc.default_pipeline().remove("choose-program"))
    check(model, one_a(), program(one_a()))
    assert np.abs(model(one_a())).max() > 256
    assert program.rescored == 0


def test_a_reduction_of_results_hides_no_loss() -> None:
    x = L.Input((LENGTH, 4), name="seq")
    model = randomize(keras.Model(x, L.Dense(2)(L.Flatten()(L.Conv1D(3, 3, padding="same")(x)))))
    set_first_channel(model, -1e6)
    model.weights[3].assign([0.0, 1e8])
    program = fc.compile(model, jit=False, verify=False, reduce=tf.tanh)
    check(keras.Model(x, L.Activation("tanh")(model(x))), one_a(), program(one_a()))
    assert program.rescored == 1


def test_float64_may_lose_more() -> None:
    model = of_a_convolution(ops.tanh)
    set_first_channel(model, -1e6)
    clone = float64_clone(model)
    program = fc.compile(clone, jit=False, verify=False)
    x = one_a().astype("float64")
    (wanted,) = naive_scan(clone, {"seq": x}, RANGES, lambda r: 0)
    np.testing.assert_allclose(program(x), wanted, atol=1e-8)
    assert program.rescored == 0


def test_letters_given_as_floats_lose_nothing() -> None:
    x = L.Input((LENGTH,), name="seq")
    y = L.LayerNormalization()(L.Embedding(5, 3)(x))
    model = randomize(keras.Model(x, L.GlobalMaxPooling1D()(y)))
    tokens = np.random.default_rng(0).integers(1, 5, (1, LENGTH)).astype("float32")
    program = fc.compile(model, jit=False, verify=False, alphabet="ABCDE")
    check(model, tokens, program(tokens, 0))
    assert not program.plan.naive
    assert program.rescored == 0


def test_tokens_have_all_their_digits() -> None:
    x = L.Input((LENGTH,), dtype="int32", name="seq")
    m = randomize(keras.Model(x, L.GlobalAveragePooling1D()(1.0 / (1.5 + ops.abs(L.Embedding(5, 3)(x))))))
    tokens = np.random.default_rng(0).integers(0, 5, (2, LENGTH))
    program = fc.compile(m, jit=False, verify=False, alphabet="ABCDE")
    ranges = [(i, i + 1) for i in range(LENGTH)]
    (plain,) = naive_scan(m, {"seq": tokens}, ranges, lambda r: 4)
    np.testing.assert_allclose(np.asarray(program(tokens, 4)), plain, rtol=1e-5)
