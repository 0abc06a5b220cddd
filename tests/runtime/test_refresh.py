"""A program follows its model where variables do not show what changed: adapters, quantization, other functions."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
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


class Kept(L.Layer):
    """Computes with what it keeps: a number, a list, an array, an object, a dict; and notes what it has seen."""

    def __init__(self) -> None:
        super().__init__(name="kept")
        self.number, self._hidden = 0.2, 0.3
        self.numbers, self.array = [1.0, 2.0, 3.0, 4.0], np.ones(4, "float32")
        self.scale = Scale(0.5)
        self.options = {"shift": 0.25}
        self.calls, self.last = 0, None
        self.momentum = 0.75  # what Keras has for training in its own layers

    def call(self, x: Any) -> Any:
        self.calls, self.last = self.calls + 1, x
        kept = self.number * self._hidden * np.array(self.numbers, "float32") * self.array
        return keras.ops.tanh(x * kept * self.scale.by + self.options["shift"]) * self.momentum


class Scale:
    def __init__(self, by: float) -> None:
        self.by = by


def keeping() -> Any:
    x = inputs = L.Input((12, 4), name="seq")
    x = L.Lambda(lambda v, s: v * s, arguments={"s": 1.5}, name="times")(Kept()(x))
    x = L.Rescaling([0.5, 1.0, 1.5, 2.0], name="rescaled")(x)
    x = L.Conv1D(5, 3, activation=partial(keras.activations.relu, negative_slope=0.1), name="conv")(x)
    return randomize(keras.Model(inputs, L.Dense(3)(L.Flatten()(x))))


def _kept(**values: Any) -> Callable[[Any], None]:
    return lambda m: [setattr(m.get_layer("kept"), name, value) for name, value in values.items()]  # type: ignore[func-returns-value]


REPLACED: dict[str, Callable[[Any], Any]] = {
    "a number": _kept(number=0.5),
    "a private number": _kept(_hidden=0.8),
    "a name that Keras has, too": _kept(momentum=0.5),
    "an element of a list": lambda m: m.get_layer("kept").numbers.__setitem__(0, 9.0),
    "an element of an array": lambda m: m.get_layer("kept").array.__setitem__(1, 9.0),
    "an attribute of an object": lambda m: setattr(m.get_layer("kept").scale, "by", 2.0),
    "an entry of a dict": lambda m: m.get_layer("kept").options.update({"shift": 1.0}),
    "an argument of a lambda": lambda m: m.get_layer("times").arguments.update({"s": 5.0}),
    "a list of Keras": lambda m: setattr(m.get_layer("rescaled"), "scale", [3.0, 1.0, 1.0, 1.0]),
    "an argument of an activation": lambda m: setattr(
        m.get_layer("conv"), "activation", partial(keras.activations.relu, negative_slope=0.9)
    ),
}


def test_everything_that_a_layer_keeps_is_watched() -> None:
    """One model, changed in one way after the other; what its own calls write is no change."""
    m = keeping()
    x = make_inputs(m, 2)["seq"]
    program = fc.compile(m, verify=False, jit=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m.predict(x, verbose=0)
        m(x)
        before = program(x)
    for what, change in REPLACED.items():
        change(m)
        with pytest.warns(UserWarning, match="compiled again"):
            after = program(x)
        assert np.abs(after - before).max() > 1e-5, what
        assert_close(after, naive_scan(m, {"seq": x}, EVERYWHERE, lambda r: 0), rtol=1e-4)
        before = after


def test_a_normalisation_that_is_adapted_again_is_followed() -> None:
    x = inputs = L.Input((12, 4), name="seq")
    norm = L.Normalization()
    letters = np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 4, (2, 12))]
    norm.adapt(letters)
    m = randomize(keras.Model(inputs, L.Dense(2)(L.Flatten()(L.Conv1D(4, 3)(norm(x))))))
    norm.adapt(letters)
    program = fc.compile(m, verify=False, jit=False)
    norm.adapt(5 * letters + 1)
    with pytest.warns(UserWarning, match="compiled again"):
        ours = program(letters)
    assert_close(ours, naive_scan(m, {"seq": letters}, EVERYWHERE, lambda r: 0), rtol=1e-4)


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
    with pytest.warns(UserWarning, match="changed after compile .*compiled again") as told:
        after = program(x)
    assert told[0].filename == __file__
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
    add_adapter(m)
    with pytest.raises(fc.UnsupportedError, match="changed after this layer was made"):
        layer(x)


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
