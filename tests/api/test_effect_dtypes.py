"""Effects of outputs that are no floating-point numbers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from fastism_compiler.models.randomize import randomize
from tests.oracle import make_inputs, naive_scan
from tests.programs import compile_tiles

L = keras.layers
EVERYWHERE = [(i, i + 1) for i in range(12)]


def scores(dtype: str) -> Any:
    x = inputs = L.Input((12, 4), name="seq")
    y = L.GlobalAveragePooling1D()(L.Conv1D(5, 3, activation="relu")(x))
    y = y > 0.5 if dtype == "bool" else keras.ops.cast(y * 90, dtype)
    return randomize(keras.Model(inputs, y))


@pytest.mark.parametrize(("dtype", "wanted"), [("bool", "int8"), ("uint8", "int16"), ("int32", "int64")])
@pytest.mark.parametrize("jit", [False, True])
def test_differences_do_not_wrap(dtype: str, wanted: str, jit: bool) -> None:
    model = scores(dtype)
    x = make_inputs(model, 2)["seq"]
    program = compile_tiles(model, verify=False, jit=jit)
    mutants = naive_scan(model, {"seq": x}, EVERYWHERE, lambda r: [0, 0, 1, 0])[0]
    values, effects = (program(x, replace_with=[0, 0, 1, 0], delta=delta) for delta in (False, True))
    assert values.dtype == mutants.dtype
    np.testing.assert_array_equal(values, mutants)
    assert effects.dtype == wanted
    np.testing.assert_array_equal(effects, mutants.astype(wanted) - np.asarray(model(x)).astype(wanted)[:, None])
    assert program.saturate(x, delta=True).dtype == wanted
