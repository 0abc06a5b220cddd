"""Masks: wherever they travel, the model's own scores; fast only where the compiler can follow them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.oracle import assert_close, naive_scan
from tests.programs import compile_tiles

L = keras.layers
TOKENS = np.array([[1, 2, 3, 0, 0, 0, 0], [4, 1, 1, 2, 0, 3, 0]])


class CallsARecurrence(L.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.inner = L.GRU(2)

    def build(self, shape: Any) -> None:
        self.inner.build(shape)

    def call(self, x: Any) -> Any:
        return self.inner(x)


def _nested() -> Any:
    inner = L.Input((7,), dtype="int32")
    return keras.Model(inner, L.Dense(3)(L.Embedding(5, 4, mask_zero=True)(inner)))


HEADS: dict[str, Callable[[Any, Any], Any]] = {
    "recurrence": lambda i, e: L.LSTM(3)(e),
    "recurrence with another argument": lambda i, e: L.GRU(3)(e, training=False),
    "argument by name": lambda i, e: L.GlobalAveragePooling1D()(inputs=e),
    "average": lambda i, e: L.GlobalAveragePooling1D()(L.Conv1D(3, 3, padding="same")(e)),
    "multi-head attention": lambda i, e: L.MultiHeadAttention(2, 3)(e, e),
    "attention": lambda i, e: L.Attention()([e, L.Dense(4)(e)]),
    "attention through a dense": lambda i, e: L.MultiHeadAttention(1, 3)(L.Dense(4)(e), e),
    "bidirectional": lambda i, e: L.Bidirectional(L.GRU(2))(e, training=False),
    "masking layer": lambda i, e: L.LSTM(2)(L.Masking()(keras.ops.round(e * 2)), training=False),
    "nested model": lambda i, e: L.GRU(2)(_nested()(i)),
    "custom layer": lambda i, e: CallsARecurrence()(e),
    "batch normalisation": lambda i, e: L.Conv1D(2, 3)(L.BatchNormalization()(e)),
    "concatenation": lambda i, e: L.GlobalAveragePooling1D()(L.Concatenate()([e, L.Dense(3)(e)])),
}


@pytest.mark.parametrize("name", sorted(HEADS))
def test_masked_models_score_as_they_do_alone(name: str) -> None:
    inputs = L.Input((7,), dtype="int32")
    embedded = L.Embedding(5, 4, mask_zero=True)(inputs)
    model = randomize(keras.Model(inputs, HEADS[name](inputs, embedded)))
    if name != "custom layer":
        model = float64_clone(model)
    program = compile_tiles(model, jit=False, verify=False, channels=[1, 2, 3, 4])
    naive = naive_scan(model, {"seq": TOKENS}, [(i, i + 1) for i in range(7)], lambda r: 4)
    exact = name != "custom layer"
    assert_close(program(TOKENS, 4), naive, **({"atol": 1e-12, "rtol": 1e-9} if exact else {}))


def test_the_plan_says_why_a_masked_model_runs_whole() -> None:
    inputs = L.Input((7,), dtype="int32")
    embedded = L.Embedding(5, 4, mask_zero=True)(inputs)
    program = compile_tiles(keras.Model(inputs, L.MultiHeadAttention(2, 3)(embedded, embedded)), jit=False)
    assert "the model runs whole: masks travel between its layers unrecorded" in str(program.plan)


def test_verification_draws_padding_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastism_compiler.frontend.keras import private

    monkeypatch.setattr(private, "masks_go_astray", lambda *_: False)
    inputs = L.Input((8,), dtype="int32")
    embedded = L.Embedding(5, 4, mask_zero=True)(inputs)
    model = randomize(keras.Model(inputs, L.GRU(3)(embedded, training=False)))
    with pytest.raises(fc.VerificationError):
        compile_tiles(model, jit=False, channels=[1, 2, 3, 4])
