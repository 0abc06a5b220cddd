"""Small models of convolutions and pools, of every padding."""

from __future__ import annotations

from typing import Any

import keras

from tests.graphs.registry import GRAPHS, dense_head, graph, seq

L = keras.layers


def _conv(name: str, length: int = 23, **options: Any) -> None:
    def build() -> Any:
        x = inputs = seq(length)
        x = L.Conv1D(6, options.get("kernel_size", 4), **{k: v for k, v in options.items() if k != "kernel_size"})(x)
        x = L.Conv1D(5, 3, activation="relu")(L.ReLU()(x))
        return keras.Model(inputs, dense_head(x))

    GRAPHS[name] = build


_conv("conv_valid")
_conv("conv_same_even", padding="same")
_conv("conv_causal", padding="causal")
_conv("conv_causal_dilated", padding="causal", dilation_rate=3)
_conv("conv_same_dilated", padding="same", dilation_rate=2)
_conv("conv_valid_strided", strides=2)
_conv("conv_same_strided", padding="same", strides=3, kernel_size=5)
_conv("conv_stride_over_kernel", strides=3, kernel_size=2)
_conv("conv_grouped", padding="same", groups=2)
_conv("conv_grouped_strided", padding="same", groups=2, strides=2)
_conv("conv_wider_than_sequence", padding="same", kernel_size=31, length=9)
_conv("conv_no_bias", padding="same", use_bias=False)


def _linear(name: str, length: int, *convolutions: dict[str, Any]) -> None:
    """Convolutions in a row, with nothing between them."""

    def build() -> Any:
        x = inputs = seq(length)
        for number, options in enumerate(convolutions):
            x = L.Conv1D(6 - number, **{"kernel_size": 3, "padding": "same"} | options)(x)
        return keras.Model(inputs, dense_head(L.ReLU()(x)))

    GRAPHS[name] = build


_linear("linear_same", 25, {"kernel_size": 4}, {})
_linear("linear_valid", 24, {"padding": "valid"}, {"padding": "valid", "kernel_size": 4})
_linear("linear_causal", 23, {"padding": "causal"}, {"padding": "causal"}, {"padding": "causal", "kernel_size": 2})
_linear("linear_dilated", 31, {"dilation_rate": 2}, {"padding": "valid", "dilation_rate": 3}, {"kernel_size": 1})
_linear("linear_mixed", 25, {"padding": "valid", "use_bias": False}, {"padding": "causal", "dilation_rate": 2})


@graph
def linear_chain_with_skip() -> Any:
    """As in Sei: the second of two linear convolutions is read by a third and by a sum."""
    x = inputs = seq(24)
    skip = L.Conv1D(5, 3, padding="valid")(L.Conv1D(6, 3, padding="causal")(x))
    x = L.Conv1D(5, 3, padding="causal", activation="relu")(skip)
    return keras.Model(inputs, dense_head(L.MaxPooling1D(2)(L.Add()([x, skip]))))


def _pool(name: str, kind: str, size: int, strides: int | None, padding: str, length: int = 23) -> None:
    def build() -> Any:
        x = inputs = seq(length)
        x = L.Conv1D(6, 3, padding="same", activation="relu")(x)
        x = getattr(L, kind)(size, strides=strides, padding=padding)(x)
        x = L.Conv1D(5, 3, padding="same", activation="tanh")(x)
        return keras.Model(inputs, dense_head(x))

    GRAPHS[name] = build


for _kind, _short in (("MaxPooling1D", "max"), ("AveragePooling1D", "avg")):
    _pool(f"{_short}_pool_valid", _kind, 2, None, "valid")
    _pool(f"{_short}_pool_same_odd", _kind, 4, None, "same")
    _pool(f"{_short}_pool_overlapping", _kind, 4, 2, "same")
    _pool(f"{_short}_pool_stride_1", _kind, 3, 1, "same")
    _pool(f"{_short}_pool_sparse", _kind, 2, 3, "valid")


@graph
def pool_after_pool() -> Any:
    x = inputs = seq(37)
    x = L.Conv1D(6, 5, padding="same")(x)
    x = L.MaxPooling1D(3)(L.ReLU()(x))
    x = L.AveragePooling1D(2, padding="same")(x)
    x = L.MaxPooling1D(3, strides=2, padding="same")(x)
    return keras.Model(inputs, dense_head(x))
