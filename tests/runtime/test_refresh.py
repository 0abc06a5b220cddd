"""A program follows its model where variables do not show what changed: adapters, quantization, other functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize
from tests.oracle import assert_close, make_inputs, naive_scan

L = keras.layers
EVERYWHERE = [(i, i + 1) for i in range(12)]


def model() -> Any:
    x = inputs = L.Input((12, 4), name="seq")
    x = L.Conv1D(5, 3, padding="same", activation="relu", name="conv")(x)
    return randomize(keras.Model(inputs, L.Dense(3, name="head")(L.Flatten()(x))))


def add_adapter(m: Any) -> None:
    head = m.get_layer("head")
    head.enable_lora(2)
    rng = np.random.default_rng(0)
    for weight in (head.lora_kernel_a, head.lora_kernel_b):
        weight.assign(rng.normal(size=weight.shape))


def quantize(m: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras names the layers that have no quantized form
        m.quantize("int8")


def replace_activation(m: Any) -> None:
    m.get_layer("conv").activation = keras.activations.tanh


CHANGES: dict[str, Callable[[Any], None]] = {
    "an adapter": add_adapter,
    "a quantization": quantize,
    "another activation": replace_activation,
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_changed_model_is_compiled_again_once(change: str) -> None:
    m = model()
    x = make_inputs(m, 2)["seq"]
    program = fc.compile(m, verify=False, jit=False)
    before = program(x)
    CHANGES[change](m)
    with pytest.warns(UserWarning, match="changed after compile .*compiled again"):
        after = program(x)
    assert np.abs(after - before).max() > 1e-3
    assert_close(after, naive_scan(m, {"seq": x}, EVERYWHERE, lambda r: 0), rtol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(program(x), after)
        program.verify(x, ranges=4)


def test_verifying_and_embedding_follow_the_model_too() -> None:
    m = model()
    x = make_inputs(m, 2)["seq"]
    verified, embedded = (fc.compile(m, verify=False, jit=False) for _ in range(2))
    replace_activation(m)
    with pytest.warns(UserWarning, match="compiled again"):
        verified.verify(x)
    with pytest.warns(UserWarning, match="compiled again"):
        layer = embedded.to_keras_layer()
    assert_close(np.asarray(layer(x)), naive_scan(m, {"seq": x}, EVERYWHERE, lambda r: 0), rtol=1e-4)


def train(m: Any, x: Any) -> None:
    y = np.ones((2, 3))
    m.compile("sgd", "mse", steps_per_execution=2)
    m.fit(x, y, validation_data=(x, y), verbose=0)


USES: dict[str, Callable[[Any, Any], Any]] = {
    "trained": train,
    "evaluated": lambda m, x: (m.compile("sgd", "mse", run_eagerly=True), m.evaluate(x, np.ones((2, 3)), verbose=0)),
    "predicting": lambda m, x: m.predict(x, verbose=0),
    "called": lambda m, x: m(x, training=True),
}


@pytest.mark.parametrize("use", sorted(USES))
def test_a_model_in_use_needs_no_new_program(use: str) -> None:
    m = model()
    x = make_inputs(m, 2)["seq"]
    program = fc.compile(m, verify=False, jit=False)
    scorer = program.scorer
    program(x)
    USES[use](m, x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = program(x)
    assert program.scorer is scorer
    assert_close(ours, naive_scan(m, {"seq": x}, EVERYWHERE, lambda r: 0))
