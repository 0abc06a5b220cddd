"""Convolutions in a row that run as one equal naive ISM at every position, those near the ends among them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.oracle import assert_close, make_inputs, naive_scan

L = keras.layers
LENGTH = 101
CHAINS: dict[str, list[dict[str, Any]]] = {
    "same": [{}, {}],
    "same_even": [{"kernel_size": 8}, {"kernel_size": 6}],
    "valid": [{"padding": "valid"}, {"padding": "valid"}],
    "causal": [{"padding": "causal"}, {"padding": "causal"}],
    "dilated": [{"dilation_rate": 2}, {"dilation_rate": 4, "kernel_size": 5}],
    "valid_then_same": [{"padding": "valid"}, {"dilation_rate": 2}],
    "causal_then_same": [{"padding": "causal"}, {}],
    "three": [{"kernel_size": 5}, {"kernel_size": 5}, {"kernel_size": 5}],
}


def chain(convolutions: list[dict[str, Any]], skip: bool = False, filters: int = 48) -> Any:
    """The chain, a nonlinearity, and a Dense over every position; as in Sei with `skip`: a third one, and a sum."""
    x = inputs = L.Input((LENGTH, 4), name="seq")
    for options in convolutions:
        x = L.Conv1D(filters, **{"kernel_size": 9, "padding": "same"} | options)(x)
    if skip:
        x = L.Add()([L.Conv1D(filters, 9, padding="same", activation="relu")(x), x])
    y = L.Dense(3)(L.Flatten()(L.MaxPooling1D(4)(L.Activation("tanh")(x))))
    return float64_clone(randomize(keras.Model(inputs, y)))


def compare(model: Any, program: fc.CompiledISM, batch: int) -> None:
    inputs = make_inputs(model, batch, dtype="float64")
    replacement = np.random.default_rng(1).random((LENGTH, 1, 4))
    ours = program(inputs["seq"], replacement)
    naive = naive_scan(model, inputs, [(i, i + 1) for i in range(LENGTH)], lambda r: replacement[r])
    assert_close(ours, naive, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_every_position(name: str) -> None:
    model = chain(CHAINS[name])
    program = fc.compile(model, jit=False, verify=False, batch_size=1)
    ((_, ranges),) = program.plan.composed
    whole = f"{LENGTH} of {LENGTH} ranges"
    assert (ranges == whole) == (name in ("valid", "causal"))
    if ranges != whole:
        assert len(program.engines) > 1, "those near the ends run on their own"
    compare(model, program, batch=1)


def test_what_a_third_convolution_and_a_sum_read() -> None:
    model = chain(CHAINS["same"], skip=True)
    program = fc.compile(model, jit=False, verify=False, batch_size=2)
    assert len(program.plan.composed) == 2
    assert " run as one convolution of differences: " in str(program.plan)
    compare(model, program, batch=2)


def test_weights_that_change_are_composed_anew() -> None:
    model = chain(CHAINS["valid"])
    program = fc.compile(model, jit=False, verify=False, batch_size=2)
    compare(model, program, batch=2)
    model.set_weights([1.5 * w for w in model.get_weights()])
    compare(model, program, batch=2)


def test_a_range_of_several_positions() -> None:
    model = chain(CHAINS["same"])
    ranges = [(i, i + 3) for i in range(LENGTH - 2)]
    program = fc.compile(model, ranges=ranges, jit=False, verify=False, batch_size=1)
    assert program.plan.composed
    inputs = make_inputs(model, 1, dtype="float64")
    assert_close(program(inputs["seq"]), naive_scan(model, inputs, ranges, lambda r: 0), rtol=1e-9, atol=1e-12)
