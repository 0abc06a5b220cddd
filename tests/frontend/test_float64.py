"""The exact oracle: a clone in float64, of models that hold functions too."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize

L = keras.layers


def test_a_model_of_functions_has_an_exact_clone() -> None:
    x = inputs = L.Input((12, 4))
    x = L.Conv1D(3, 3, activation=lambda v: v * ops.sigmoid(1.7 * v))(x)
    x = L.Lambda(lambda v, scale: ops.tanh(v) * scale, arguments={"scale": 2.0})(x)
    x = L.Activation(lambda v: ops.where(v > 0, v, 0.1 * v))(x)
    model = randomize(keras.Model(inputs, L.Dense(2)(L.Flatten()(x))))
    clone = float64_clone(model)
    sequences = np.eye(4)[np.random.default_rng(0).integers(0, 4, (3, 12))]
    exact = np.asarray(clone(sequences))
    assert exact.dtype == np.float64
    np.testing.assert_allclose(exact, model(sequences), atol=1e-5)
    assert fc.compile(model, jit=False).verify()
