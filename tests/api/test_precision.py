"""Lower precision rounds differences, not values: effects keep their digits."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from fastism_compiler.emit.precision import product_of, rounding_of
from fastism_compiler.models.randomize import randomize

LENGTH = 48


@pytest.fixture(scope="module")
def model() -> Any:
    """Every kind of delta product; a large constant on top, in which rounded values would drown."""
    x = keras.Input((LENGTH, 4))
    h = keras.layers.Conv1D(16, 7, padding="same", activation="relu")(x)
    h = keras.layers.Conv1D(16, 3, dilation_rate=2, padding="same", activation="relu")(h)
    h = keras.layers.MaxPooling1D(2)(h)
    h = keras.layers.Conv1D(16, 5, groups=2, padding="same", activation="relu")(h)
    h = keras.layers.Dense(8, activation="relu")(h)
    profile = keras.layers.Conv1DTranspose(1, 5, strides=2, padding="same")(h)
    total = keras.layers.Dense(2)(keras.layers.Flatten()(h)) + 1000.0
    return randomize(keras.Model(x, [profile, total]))


X = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (3, LENGTH))]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "jit"])
def jit(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(scope="module")
def strict(model: Any, jit: bool) -> Any:
    return fc.compile(model, jit=jit, verify=False)(X, delta=True)


@pytest.mark.parametrize(("precision", "share"), [("tf32", 2e-3), ("bfloat16", 2e-2)])
def test_effects_keep_their_digits(model: Any, jit: bool, strict: Any, precision: str, share: float) -> None:
    program = fc.compile(model, jit=jit, precision=precision, verify=False)
    for exact, ours in zip(strict, program(X, delta=True), strict=True):
        error, effect = np.abs(ours - exact), np.sqrt(np.mean(exact**2))
        floor = 4 * np.spacing(np.float32(1000))  # the total itself is a float32
        assert error.max() < share * np.abs(exact).max() + floor
        assert error.max() > 1e-7 * effect, "nothing was rounded"
    assert any(precision in note for note in program.plan.notes)


@pytest.mark.parametrize(("precision", "bits"), [("tf32", 10), ("bfloat16", 7)])
def test_operands_are_rounded_to_nearest(jit: bool, precision: str, bits: int) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.standard_normal(1000) * 10.0 ** rng.integers(-20, 20, 1000), [0, np.inf, -np.inf]])
    x = x.astype(np.float32)
    round_ = tf.function(rounding_of(precision, jit), jit_compile=jit)
    mantissa, exponent = np.frexp(x[:-2].astype(np.float64))
    expected = np.ldexp(np.round(mantissa * 2 ** (bits + 1)) / 2 ** (bits + 1), exponent)
    np.testing.assert_array_equal(round_(x).numpy()[:-2], expected.astype(np.float32))
    np.testing.assert_array_equal(round_(x).numpy()[-2:], x[-2:])
    assert np.isnan(round_(np.float32([np.nan])).numpy()).all()


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
@pytest.mark.parametrize("transpose", [False, True])
def test_products_sum_in_float32(precision: str, transpose: bool) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((5, 700)).astype(np.float32), rng.standard_normal((700, 3)).astype(np.float32)
    rounding = rounding_of(precision, jit=False)
    expected = rounding(tf.constant(a)).numpy().astype(np.float64) @ rounding(tf.constant(b)).numpy()
    for jit in (False, True):
        product = tf.function(product_of(precision, jit), jit_compile=jit)
        y = product(a, b.T.copy() if transpose else b, transpose_b=transpose)
        np.testing.assert_allclose(y, expected, atol=2e-4)


def test_refusals(model: Any) -> None:
    with pytest.raises(fc.OptionError, match="precision"):
        fc.compile(model, precision="float16")
    x = keras.Input((9, 4), dtype="float64")
    double = keras.Model(x, keras.layers.Conv1D(2, 3, dtype="float64")(x))
    with pytest.raises(fc.UnsupportedError, match="float64"):
        fc.compile(double, precision="tf32")


def test_whole_sequences_are_scored_as_strictly_as_mutants(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Effects are differences of the two: TensorFloat-32 on one side alone would show."""
    program = fc.compile(model, jit=False, verify=False)
    enabled, naive = tf.config.experimental.tensor_float_32_execution_enabled, program.scorer.naive
    seen: list[bool] = []

    class Watched:
        def __call__(self, inputs: Any) -> Any:
            seen.append(enabled())
            return naive(inputs)

        def step_by_step(self, inputs: Any) -> Any:
            seen.append(enabled())
            return naive.step_by_step(inputs)

    monkeypatch.setattr(program.scorer, "naive", Watched())
    before = enabled()
    tf.config.experimental.enable_tensor_float_32_execution(True)
    try:
        program.reference(np.zeros((1, LENGTH, 4)))
        program(np.full((1, LENGTH, 4), 1e38))  # no number of which can be trusted
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)
    assert len(seen) > 2 and not any(seen)
