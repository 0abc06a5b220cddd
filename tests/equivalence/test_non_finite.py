"""Where the reference or the mutant is infinite or NaN, the result is what the model itself gives."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from fastism_compiler.models.randomize import randomize
from tests.oracle import assert_close, make_inputs, naive_scan
from tests.programs import compile_tiles

L = keras.layers
ops = keras.ops
EVERYWHERE = [(i, i + 1) for i in range(23)]


def exploding(scale: float) -> Any:
    x = inputs = L.Input((23, 4), name="seq")
    y = L.Conv1D(4, 5, padding="same")(x)
    y = ops.exp(y * scale)
    y = L.Conv1D(3, 3, padding="same")(y)
    return randomize(keras.Model(inputs, L.Dense(2)(L.Flatten()(L.MaxPooling1D(2)(y)))))


@pytest.mark.parametrize("scale", [1.0, 60.0, 120.0])
@pytest.mark.parametrize("jit", [False, True])
def test_exponential_overflow(scale: float, jit: bool) -> None:
    model = exploding(scale)
    x = make_inputs(model, 3)["seq"]
    program = compile_tiles(model, jit=jit, verify=False)
    naive = naive_scan(model, {"seq": x}, EVERYWHERE, lambda r: 0)
    with np.errstate(all="ignore"):
        scores = program(x)
        finite = np.isfinite(naive[0])
        np.testing.assert_array_equal(np.isfinite(scores), finite)
        np.testing.assert_array_equal(np.isnan(scores), np.isnan(naive[0]))
        np.testing.assert_allclose(scores[finite], naive[0][finite], rtol=1e-3)
    assert (program.rescored > 0) == (not finite.all() or scale > 100)


def test_division_by_zero_and_logarithms() -> None:
    x = inputs = L.Input((23, 4), name="seq")
    y = L.Conv1D(4, 3, padding="same", activation="relu")(x)
    y = ops.log(y) / (1 - ops.sum(y, axis=-1, keepdims=True))
    model = randomize(keras.Model(inputs, [L.MaxPooling1D(2)(y), ops.sum(y, axis=(1, 2), keepdims=True)]))
    x = make_inputs(model, 2)["seq"]
    program = compile_tiles(model, jit=False, verify=False)
    with np.errstate(all="ignore"):
        assert_close(program(x), naive_scan(model, {"seq": x}, EVERYWHERE, lambda r: 0), rtol=1e-4)


def test_a_reference_far_larger_than_the_mutant() -> None:
    """Subtracting a huge reference would leave nothing of a small mutant."""
    x = inputs = L.Input((9, 4), name="seq")
    y = L.Conv1D(1, 1, kernel_initializer=keras.initializers.Constant(25.0))(x)
    y = ops.exp(y)
    model = keras.Model(inputs, ops.sum(L.Conv1D(1, 3, kernel_initializer="ones")(y), axis=(1, 2), keepdims=True))
    x = np.zeros((1, 9, 4), "float32")
    x[0, 4] = 1  # e^100 there, e^0 elsewhere
    program = compile_tiles(model, jit=False, verify=False)
    assert_close(program(x), naive_scan(model, {"seq": x}, [(i, i + 1) for i in range(9)], lambda r: 0))


def test_verification_counts_non_finite_values() -> None:
    program = compile_tiles(exploding(120.0), jit=False, verify=False)
    with np.errstate(all="ignore"):
        report = program.verify()
    assert report.outputs[0].non_finite > 0
    assert "non-finite" in str(report)


@pytest.mark.parametrize("jit", [False, True])
def test_a_composed_kernel_overflows_where_neither_kernel_does(jit: bool) -> None:
    """The last letter occurs in no sequence: what its weights would make shows in no reference value."""
    inputs = L.Input((23, 4), name="seq")
    x = L.Conv1D(3, 2, padding="valid")(L.Conv1D(2, 3, padding="valid")(inputs))
    y = L.MaxPooling1D(4)(L.ReLU()(x))
    model = randomize(keras.Model(inputs, L.GlobalMaxPooling1D()(y)))
    first, bias, second, *rest = model.get_weights()
    first[:, 3], second[...] = 3e24, 3e20
    model.set_weights([first, bias, second, *rest])
    x = np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 3, (2, 23))]
    program = compile_tiles(model, jit=jit, verify=False)
    assert program.plan.composed
    for letter in (0, 3):
        replacement = np.eye(4, dtype="float32")[letter]
        with np.errstate(all="ignore"):
            naive = naive_scan(model, {"seq": x}, EVERYWHERE, lambda r, new=replacement: new)
            np.testing.assert_allclose(program(x, replacement), naive[0], rtol=1e-5)
        assert np.isfinite(naive[0]).all() == (letter == 0)
