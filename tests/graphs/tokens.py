"""Small models of integer tokens, and of masks."""

from __future__ import annotations

from typing import Any

import keras

from tests.graphs.registry import dense_head, graph, seq

L = keras.layers
ops = keras.ops


def tokens(length: int = 15, dtype: str = "int32") -> Any:
    return L.Input((length,), name="seq", dtype=dtype)


@graph
def tokens_embedded() -> Any:
    inputs = tokens()
    positions = L.Embedding(15, 6)(ops.arange(15))
    x = L.Embedding(7, 6)(inputs) + positions
    x = L.Conv1D(5, 4, padding="same", activation="relu")(x)
    return keras.Model(inputs, dense_head(L.MaxPooling1D(2)(x)))


@graph
def tokens_as_floats() -> Any:
    inputs = tokens(dtype="float32")
    x = L.Conv1D(5, 3, activation="gelu")(L.Embedding(5, 4)(inputs))
    return keras.Model(inputs, L.GlobalMaxPooling1D()(x))


@graph
def tokens_one_hot_transformer() -> Any:
    inputs = tokens(12)
    x = L.Dense(6)(ops.one_hot(inputs, 5))
    x = L.Add()([x, L.MultiHeadAttention(2, 3)(x, x)])
    return keras.Model(inputs, L.Bidirectional(L.LSTM(3))(x))


@graph
def tokens_masked() -> Any:
    inputs = tokens(10)
    x = L.Embedding(6, 4, mask_zero=True)(inputs)
    x = L.LSTM(3, return_sequences=True)(x)
    return keras.Model(inputs, L.GlobalAveragePooling1D()(x))


@graph
def masking_layer() -> Any:
    inputs = seq(11)
    x = L.Masking(0.0)(inputs)
    return keras.Model(inputs, [L.GRU(3)(x), L.Conv1D(2, 3)(inputs)])


@graph
def integer_one_hot() -> Any:
    inputs = L.Input((13, 4), name="seq", dtype="int32")
    x = L.Conv1D(4, 3, activation="relu")(ops.cast(inputs, "float32"))
    return keras.Model(inputs, dense_head(x))
