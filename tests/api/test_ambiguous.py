"""What could be meant in two ways is refused, or meant as the model means it."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize

L = keras.layers


def test_a_name_of_two_outputs_is_refused() -> None:
    x = inputs = L.Input((12, 4))
    head = L.Dense(2, name="head")
    y = L.Conv1D(3, 3)(x)
    model = keras.Model(inputs, [head(L.GlobalMaxPooling1D()(y)), head(L.GlobalAveragePooling1D()(y))])
    with pytest.raises(fc.OptionError, match="several outputs have this name"):
        fc.compile(model, outputs={"head": None})
    assert fc.compile(model, outputs={1: None}, verify=False).selection.names == ["head"]


def test_unknown_tokens_are_what_the_model_makes_of_them() -> None:
    """One-hot encoding gives a row of zeros for a token that it does not know."""
    tokens = L.Input((10,), dtype="int32")
    model = randomize(keras.Model(tokens, L.Flatten()(L.Conv1D(2, 3)(keras.ops.one_hot(tokens, 4)))))
    x = np.random.default_rng(0).integers(0, 4, (2, 10)).astype("int32")
    x[0, 3] = -1
    scores = fc.compile(model, verify=False, jit=False)(x, replace_with=-1)
    for position in range(10):
        mutant = x.copy()
        mutant[:, position] = -1
        np.testing.assert_allclose(scores[:, position], model(mutant), rtol=1e-4, atol=1e-5)
