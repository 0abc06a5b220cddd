"""Functions and operations that are followed: what they read that is no tensor of theirs, and constants they meet."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.oracle import assert_close, make_inputs, naive_scan
from tests.programs import compile_tiles

L = keras.layers
ops = keras.ops
LENGTH = 10


def model(*layers: Any) -> Any:
    x = inputs = L.Input((LENGTH, 4), name="seq")
    x = L.Conv1D(4, 3, padding="same")(x)
    for layer in layers:
        x = layer(x)
    return randomize(keras.Model(inputs, L.Dense(2)(L.Flatten()(x))))


def check(m: Any, program: Any = None) -> Any:
    double = m.inputs[0].dtype == "float64"
    x = make_inputs(m, 2, m.inputs[0].dtype)["seq"]
    program = program or compile_tiles(m, jit=False, verify=False)
    naive = naive_scan(m, {"seq": x}, [(i, i + 1) for i in range(LENGTH)], lambda r: 0)
    assert_close(program(x), naive, **({"atol": 1e-12, "rtol": 1e-11} if double else {}))
    return program


class Of(L.Layer):
    """A function of one tensor."""

    def __init__(self, function: Callable[[Any], Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.function = function

    def call(self, x: Any) -> Any:
        return self.function(x)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "function": self.function}


VARIABLES: dict[str, Callable[[], Any]] = {
    "keras": lambda: keras.Variable(np.full(4, 0.5, "float32")),
    "kept": lambda: keras.Variable(np.full(4, 0.5, "float32"), trainable=False),
    "tensorflow": lambda: tf.Variable(np.full(4, 0.5, "float32")),
}


@pytest.mark.parametrize("kind", sorted(VARIABLES))
def test_a_function_that_computes_with_a_variable_follows_it(kind: str) -> None:
    w = VARIABLES[kind]()
    m = model(L.Lambda(lambda t: t * ops.exp(w)), L.Dense(4, activation=lambda t: t * ops.exp(w)))
    program = check(m)
    w.assign(np.full(4, 1.5, "float32"))
    check(m, program)


def test_a_function_that_computes_with_numbers_keeps_its_windows() -> None:
    program = check(model(L.Lambda(lambda t: t * (1 + ops.erf(t / ops.sqrt(2.0))))))
    assert program.plan.stops == ()


def test_a_table_that_is_indexed_by_tokens() -> None:
    class Table(L.Layer):
        def build(self, shape: Any) -> None:
            self.table = self.add_weight(shape=(9, 3), name="table")

        def call(self, x: Any) -> Any:
            return ops.take(self.table, ops.cast(ops.clip(ops.abs(x[:, :, 0]) * 3, 0, 8), "int32"), axis=0)

    check(model(Table()))


def test_indices_in_a_variable_are_followed() -> None:
    order = keras.Variable(np.arange(LENGTH)[::-1].copy(), dtype="int32", trainable=False)
    m = model(Of(lambda t: ops.take(t, order, axis=1)))
    program = check(m)
    order.assign(np.roll(np.arange(LENGTH), 3))
    check(m, program)


@pytest.mark.parametrize("value", [0.5, -1e9])
def test_padding_with_a_large_number_loses_no_digits(value: float) -> None:
    pad = Of(lambda t: ops.pad(t, [[0, 0], [2, 1], [1, 0]], constant_values=value))
    check(float64_clone(model(pad, L.MaxPooling1D(2), Of(lambda t: ops.maximum(t, -10.0)))))


def test_padding_of_integers_stays_one() -> None:
    def padded(t: Any) -> Any:
        return ops.cast(ops.pad(ops.cast(t * 5, "int32"), [[0, 0], [2, 1], [0, 0]], constant_values=3), "float32")

    check(model(Of(padded)))


@pytest.mark.parametrize(
    ("equation", "shape"), [("blc,lk->bkc", (8, 4)), ("blc,cd->bld", (LENGTH, 6)), ("blc,lcd->bd", 6)]
)
def test_a_quantized_product_over_any_axes(equation: str, shape: Any) -> None:
    layer = L.EinsumDense(equation, shape)
    m = model(layer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras names the layers that have no quantized form
        layer.quantize("int8")
    check(m)


def test_a_product_with_a_constant_that_has_an_axis_for_the_batch() -> None:
    weights = np.random.default_rng(0).normal(size=(1, 4)).astype("float32")
    check(model(L.Dense(4), Of(lambda t: ops.einsum("...lc,...l->...lc", t[:, :4], weights))))


@pytest.mark.parametrize(
    "function",
    [lambda t: ops.logaddexp(t, 0.1), lambda t: t // 0.1, lambda t: ops.mod(t, 0.1)],
    ids=["logaddexp", "floor_divide", "mod"],
)
def test_numbers_take_the_dtype_of_what_they_meet(function: Callable[[Any], Any]) -> None:
    check(float64_clone(model(Of(function))))


def test_a_function_of_the_mode_runs_in_inference() -> None:
    def doubled(t: Any, training: bool = True) -> Any:
        return t * 2 if training else t

    check(model(L.Lambda(doubled)))


@pytest.mark.parametrize("nested", [False, True])
def test_why_a_layer_is_not_followed_is_said_wherever_it_stands(nested: bool) -> None:
    layer = Of(lambda t: ops.take(t, [[0, 1], [2, 3]], axis=1), name="chosen")
    inner = keras.Sequential([L.Input((LENGTH, 4)), layer]) if nested else layer
    ((_, reason),) = compile_tiles(model(inner), jit=False, verify=False).plan.stops
    assert "a choice of elements by a table of indices" in reason


def test_the_first_reason_is_the_one_that_is_said() -> None:
    states = L.Bidirectional(L.LSTM(3, return_sequences=True, return_state=True))
    program = compile_tiles(model(Of(lambda t: states(t)[0])), jit=False, verify=False)
    assert not any("cannot be followed" in reason for _, reason in program.plan.stops)
