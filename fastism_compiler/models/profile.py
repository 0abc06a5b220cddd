"""ChromBPNet and CREsted's dilated CNN: `valid` dilated towers with cropped residuals."""

from __future__ import annotations

from typing import Any

import keras

from fastism_compiler.models.randomize import randomize
from fastism_compiler.models.sizes import checked_sizes

L = keras.layers


def _tower(length: int, profile: int, filters: int, dilated: int, name: str) -> Any:
    """One BPNet of ChromBPNet: `[B, length, 4] -> [[B, profile], [B, 1]]`."""
    inputs = L.Input((length, 4))
    x = L.Conv1D(filters, 21, activation="relu")(inputs)
    for i in range(1, dilated + 1):
        y = L.Conv1D(filters, 3, activation="relu", dilation_rate=2**i)(x)
        x = L.Add()([L.Cropping1D(2**i)(x), y])
    heads = L.Conv1D(1, 75)(x)
    excess = heads.shape[1] - profile
    heads = L.Flatten()(L.Cropping1D((excess // 2, excess - excess // 2))(heads))
    return keras.Model(inputs, [heads, L.Dense(1)(L.GlobalAveragePooling1D()(x))], name=name)


@checked_sizes
def chrombpnet(
    length: int = 2114,
    profile: int = 1000,
    filters: int = 512,
    bias_filters: int = 128,
    dilated: int = 8,
    seed: int = 0,
) -> Any:
    """ChromBPNet (Pampari et al. 2023): a frozen bias model and a main model, nested, their logits added.

    Args:
        length: sequence length.
        profile: length of the predicted profile.
        filters: channels of the main tower.
        bias_filters: channels of the bias tower (four residual convolutions).
        dilated: residual convolutions of the main tower, dilation 2, 4, ...
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [[B, profile], [B, 1]]`.
    """
    inputs = L.Input((length, 4))
    bias = _tower(length, profile, bias_filters, min(4, dilated), "bias")
    main = _tower(length, profile, filters, dilated, "main")
    bias_profile, bias_counts = bias(inputs)
    profile_logits, counts = main(inputs)
    counts = keras.ops.logsumexp(L.Concatenate()([bias_counts, counts]), axis=-1, keepdims=True)
    outputs = [L.Add()([bias_profile, profile_logits]), counts]
    return randomize(keras.Model(inputs, outputs, name="chrombpnet"), seed)


@checked_sizes
def dilated_cnn(length: int = 2114, classes: int = 19, filters: int = 512, dilated: int = 8, seed: int = 0) -> Any:
    """CREsted's dilated CNN (aertslab/CREsted): batch norm, GELU, then ReLU residuals without bias.

    Args:
        length: sequence length.
        classes: cell types.
        filters: channels.
        dilated: residual convolutions, dilation 2, 4, ...
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [B, classes]`.
    """
    x = inputs = L.Input((length, 4))
    x = L.Activation("gelu")(L.BatchNormalization()(L.Conv1D(filters, 5, padding="same", use_bias=False)(x)))
    x = L.Dropout(0.1)(x)
    for i in range(1, dilated + 1):
        y = L.Conv1D(filters, 3, dilation_rate=2**i, use_bias=False)(x)
        y = L.Activation("relu")(L.BatchNormalization()(y))
        x = L.Dropout(0.1)(L.Add()([L.Cropping1D(2**i)(x), y]))
    x = L.Dense(classes, activation="softplus")(L.GlobalAveragePooling1D()(x))
    return randomize(keras.Model(inputs, x, name="dilated_cnn"), seed)
