"""NaN of a mutant that XLA's reductions leave out: what the model itself gives is returned all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from fastism_compiler.models.randomize import randomize
from tests.oracle import make_inputs, naive_scan
from tests.programs import compile_tiles

L = keras.layers
ops = keras.ops
RANGES = [(i, i + 1) for i in (0, 5, 11, 22)]

HEADS: dict[str, Callable[[Any], Any]] = {
    "min": lambda y: ops.min(y, axis=1),
    "max": lambda y: ops.max(y, axis=1),
    "min over everything": lambda y: ops.min(y, axis=(1, 2), keepdims=True),
    "global pool": lambda y: L.GlobalMaxPooling1D()(y),  # noqa: PLW0108 (a new layer each time)
    "pool": lambda y: L.Dense(2)(L.Flatten()(L.MaxPooling1D(2)(y))),
    "overlapping pool": lambda y: L.Dense(2)(L.Flatten()(L.MaxPooling1D(3, strides=2, padding="same")(y))),
    "sorted channels": lambda y: ops.sort(y, axis=-1),
    "the largest channel": lambda y: ops.one_hot(ops.argmax(y, axis=-1), 4),
    "two channels": lambda y: ops.top_k(y, 2)[0],
    "whole numbers": lambda y: ops.cast(y, "int32"),
    "tokens": lambda y: ops.one_hot(ops.cast(ops.maximum(y, 0.0), "int32"), 4),
    "behind attention": lambda y: ops.max(L.MultiHeadAttention(1, 2)(y, y), axis=1),
}


def model(head: Callable[[Any], Any], margin: float) -> tuple[Any, Any]:
    """Square roots that are NaN for some mutants, and for few references or none; and two sequences."""
    inputs = L.Input((23, 4), name="seq")
    low = randomize(keras.Model(inputs, L.Conv1D(4, 5, padding="same", name="low")(inputs)))
    x = make_inputs(low, 2)["seq"]
    least = np.asarray(low(x)).min((0, 1))
    built = keras.Model(inputs, head(ops.sqrt(low.output - least + margin)))
    kernel = low.get_layer("low").get_weights()
    randomize(built)
    low.get_layer("low").set_weights(kernel)
    return built, x


@pytest.mark.parametrize("head", sorted(HEADS))
def test_a_dropped_nan_is_found(head: str) -> None:
    built, x = model(HEADS[head], margin=0.01)
    with np.errstate(invalid="ignore"):
        naive = naive_scan(built, {"seq": x}, RANGES, lambda r: [0, 0, 9, 0])
        ours = np.asarray(compile_tiles(built, ranges=RANGES, verify=False)(x, replace_with=[0, 0, 9, 0]))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(naive[0]))
    finite = np.isfinite(naive[0])
    np.testing.assert_allclose(ours[finite], naive[0][finite], rtol=1e-4, atol=1e-5)


def test_a_reference_with_a_dropped_nan_is_the_models_own() -> None:
    built, x = model(HEADS["min"], margin=-0.1)
    program = compile_tiles(built, ranges=RANGES, verify=False)
    own = np.asarray(built(x))
    assert np.isnan(own).any()
    letters = np.asarray(program.saturate(x))
    here = x[:, [lo for lo, _ in RANGES]].astype(bool)
    for b, r, c in np.argwhere(here):
        if x[b, RANGES[r][0]].sum() == 1:
            np.testing.assert_array_equal(np.isnan(letters[b, r, c]), np.isnan(own[b]))


@pytest.mark.parametrize("beyond", ["mutants", "references too"])
@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64"])  # of fewer bits, TensorFlow's own results vary
def test_whole_numbers_beyond_their_range_are_the_models_own(dtype: str, beyond: str) -> None:
    limit = float(np.iinfo(dtype).max)
    inputs = L.Input((23, 4), name="seq")
    sums = L.Conv1D(1, 3, padding="same", use_bias=False, kernel_initializer="ones")(inputs)
    scale = limit / 8 if beyond == "mutants" else limit * 0.75  # a sum is 3, of a mutant up to 2 + 9
    built = keras.Model(inputs, ops.cast(ops.cast(sums * scale, dtype), "float32"))
    x = make_inputs(built, 2)["seq"]
    naive = naive_scan(built, {"seq": x}, RANGES, lambda r: [0, 0, 9, 0])[0]
    ours = np.asarray(compile_tiles(built, ranges=RANGES, verify=False)(x, replace_with=[0, 0, 9, 0]))
    np.testing.assert_array_equal(ours, naive)
