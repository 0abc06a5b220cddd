"""Functions that magnify what is close to 0, behind a reference that is far from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.oracle import naive_scan

L = keras.layers
ops = keras.ops

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "logarithm": lambda v: ops.log(ops.square(v)),
    "logarithm of a sum": lambda v: ops.log(ops.abs(v) + 1e-7),
    "reciprocal": ops.reciprocal,
    "denominator": lambda v: 3.0 / v,
    "root in a denominator": lambda v: ops.rsqrt(ops.square(v) + 1e-9),
    "negative power": lambda v: ops.power(ops.abs(v), -0.5),
    "norm": lambda v: v / ops.norm(v, axis=-1, keepdims=True),
    "sign": ops.sign,
}
SMALL = {"sign": 1e-5}
"""The small weights, where they are not 1e-3: rounding of the large ones seldom turns the sign of such."""
LENGTH = 12


def with_one_large_letter(name: str, local: bool) -> Any:
    """A model whose logits are large where position 3 is an A, and small otherwise."""
    x = L.Input((LENGTH, 4), name="seq")
    y = L.Conv1D(3, 3, padding="same", use_bias=False)(x) if local else L.Dense(3, use_bias=False)(L.Flatten()(x))
    y = L.Activation(FUNCTIONS[name])(y)
    m = keras.Model(x, L.GlobalAveragePooling1D()(y) if local else y)
    weights = np.random.default_rng(0).normal(size=m.get_weights()[0].shape).astype("float32") * SMALL.get(name, 1e-3)
    weights[(1, 0) if local else 12] = 4e3
    m.set_weights([weights])
    return m


@pytest.mark.parametrize("local", [False, True], ids=["dense", "convolution"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_digits_are_lost(name: str, local: bool) -> None:
    model = with_one_large_letter(name, local)
    letters = np.random.default_rng(1).integers(1, 4, LENGTH)
    letters[3] = 0
    x = np.eye(4, dtype="float32")[letters][None]
    program = fc.compile(model, jit=False, verify=False)
    ranges = [(i, i + 1) for i in range(LENGTH)]
    (wanted,) = naive_scan(float64_clone(model), {"seq": x.astype("float64")}, ranges, lambda r: 0)
    (ours,) = keras.tree.flatten(program(x))
    (plain,) = naive_scan(model, {"seq": x}, ranges, lambda r: 0)
    allowed = 10 * np.abs(plain - wanted).max() + 2e-5 * np.abs(wanted).max()
    assert not program.plan.naive
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=allowed)


def test_tokens_have_all_their_digits() -> None:
    x = L.Input((LENGTH,), dtype="int32", name="seq")
    m = randomize(keras.Model(x, L.GlobalAveragePooling1D()(1.0 / (1.5 + ops.abs(L.Embedding(5, 3)(x))))))
    tokens = np.random.default_rng(0).integers(0, 5, (2, LENGTH))
    program = fc.compile(m, jit=False, verify=False, alphabet="ABCDE")
    ranges = [(i, i + 1) for i in range(LENGTH)]
    (plain,) = naive_scan(m, {"seq": tokens}, ranges, lambda r: 4)
    np.testing.assert_allclose(np.asarray(program(tokens, 4)), plain, rtol=1e-5)
