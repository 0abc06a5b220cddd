"""Small models of what goes along positions: recurrences, attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from tests.graphs.registry import GRAPHS, graph, seq

L = keras.layers
ops = keras.ops


def _recurrent(name: str, *layers: Callable[[], Any], length: int = 23) -> None:
    def build() -> Any:
        x = inputs = seq(length)
        x = L.MaxPooling1D(2)(L.Conv1D(6, 4, activation="relu")(x))
        for layer in layers:
            x = layer()(x)
        return keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))

    GRAPHS[name] = build


_recurrent("lstm_last", lambda: L.LSTM(5))
_recurrent("lstm_no_bias", lambda: L.LSTM(5, use_bias=False, activation="relu", recurrent_activation="hard_sigmoid"))
_recurrent("gru_sequences", lambda: L.GRU(4, return_sequences=True))
_recurrent("gru_reset_before", lambda: L.GRU(4, reset_after=False, go_backwards=True))
_recurrent("simple_rnn_backwards", lambda: L.SimpleRNN(4, return_sequences=True, go_backwards=True))
_recurrent("bidirectional_stacked", lambda: L.Bidirectional(L.LSTM(4, return_sequences=True)), lambda: L.GRU(3))
_recurrent("bidirectional_last_sum", lambda: L.Bidirectional(L.GRU(4), merge_mode="sum"))
_recurrent("bidirectional_average", lambda: L.Bidirectional(L.SimpleRNN(4, return_sequences=True), merge_mode="ave"))
_recurrent("recurrent_with_dropout", lambda: L.LSTM(3, dropout=0.3, recurrent_dropout=0.2), length=9)


@graph
def recurrent_on_the_sequence_itself() -> Any:
    inputs = seq(13)
    return keras.Model(inputs, [L.LSTM(3)(inputs), L.Bidirectional(L.GRU(2), merge_mode=None)(inputs)])


@graph
def recurrent_with_states_passed() -> Any:
    inputs = seq(11)
    y, h, c = L.LSTM(3, return_sequences=True, return_state=True)(L.Conv1D(3, 3)(inputs))
    return keras.Model(inputs, L.LSTM(3)(y, initial_state=[h, c]))


@graph
def attention_block() -> Any:
    x = inputs = seq(17)
    x = L.Conv1D(8, 3, padding="same", activation="relu")(x)
    y = L.LayerNormalization()(x)
    x = L.Add()([x, L.MultiHeadAttention(2, 3)(y, y)])
    y = L.Dense(6, activation="gelu")(L.LayerNormalization()(x))
    return keras.Model(inputs, L.GlobalAveragePooling1D()(L.Add()([x, L.Dense(8)(y)])))


@graph
def cropped_transformer() -> Any:
    """Behind the attention, only what a crop leaves is computed: half of its queries, and of a U-net's way up."""
    x = inputs = seq(18)
    first = L.Conv1D(8, 3, padding="same", activation="relu")(x)
    x = L.MaxPooling1D(2)(first)
    y = L.LayerNormalization()(x)
    x = L.Add()([x, L.MultiHeadAttention(2, 3)(y, y)]) + np.linspace(-1, 1, 9, dtype="float32")[:, None]
    x = L.Add()([x, L.Dense(8)(L.Dense(6, activation="gelu")(L.LayerNormalization()(x)))])
    x = L.Add()([L.UpSampling1D(2)(x), first])
    x = L.SeparableConv1D(6, 3, padding="same")(x)
    return keras.Model(inputs, [L.Cropping1D((5, 4))(x), L.Flatten()(L.ZeroPadding1D(1)(x[:, 7:11]))])


@graph
def causal_and_cross_attention() -> Any:
    x = inputs = seq(9)
    x = L.Conv1D(4, 3, padding="same")(x)
    y = L.Conv1D(4, 2)(inputs)
    x = L.MultiHeadAttention(2, 3, value_dim=2, use_bias=False)(x, y)
    x = L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    return keras.Model(inputs, L.Flatten()(x))


@graph
def logsumexp_over_positions() -> Any:
    x = inputs = seq()
    x = L.Conv1D(5, 4, activation="relu")(x)
    outputs = [
        ops.logsumexp(x, axis=1),
        ops.logsumexp(x, axis=-1),
        ops.logsumexp(L.MaxPooling1D(3)(x), axis=(1, 2), keepdims=True),
    ]
    return keras.Model(inputs, outputs)
