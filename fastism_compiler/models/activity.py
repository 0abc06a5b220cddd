"""DeepSTARR, DanQ, scBasset and Optimus 5-prime: sequence in, activities out."""

from __future__ import annotations

from typing import Any

import keras

from fastism_compiler.models.randomize import randomize
from fastism_compiler.models.sizes import checked_sizes

L = keras.layers


@checked_sizes
def deepstarr(length: int = 249, seed: int = 0) -> Any:
    """DeepSTARR (de Almeida et al. 2022): developmental and housekeeping enhancer activity.

    Args:
        length: sequence length.
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [[B, 1], [B, 1]]`.
    """
    x = inputs = L.Input((length, 4))
    for filters, width in ((256, 7), (60, 3), (60, 5), (120, 3)):
        x = L.Conv1D(filters, width, padding="same")(x)
        x = L.MaxPooling1D(2)(L.Activation("relu")(L.BatchNormalization()(x)))
    x = L.Flatten()(x)
    for _ in range(2):
        x = L.Dropout(0.4)(L.Activation("relu")(L.BatchNormalization()(L.Dense(256)(x))))
    outputs = [L.Dense(1, name=name)(x) for name in ("developmental", "housekeeping")]
    return randomize(keras.Model(inputs, outputs, name="deepstarr"), seed)


@checked_sizes
def danq(length: int = 1000, outputs: int = 919, scale: float = 1.0, seed: int = 0) -> Any:
    """DanQ (Quang and Xie 2016): one convolution, a bidirectional LSTM, two Dense layers.

    Args:
        length: sequence length.
        outputs: chromatin profiles.
        scale: multiplies the widths of all layers.
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [B, outputs]`.
    """
    width = max(int(320 * scale), 1)
    x = inputs = L.Input((length, 4))
    x = L.Conv1D(width, 26, activation="relu")(x)
    x = L.Dropout(0.2)(L.MaxPooling1D(13)(x))
    x = L.Dropout(0.5)(L.Bidirectional(L.LSTM(width, return_sequences=True))(x))
    x = L.Dense(max(int(925 * scale), 1), activation="relu")(L.Flatten()(x))
    return randomize(keras.Model(inputs, L.Dense(outputs, activation="sigmoid")(x), name="danq"), seed)


@checked_sizes
def scbasset(length: int = 1344, cells: int = 2000, scale: float = 1.0, seed: int = 0) -> Any:
    """scBasset (Yuan and Kelley 2022): norm and GELU between convolutions, a bottleneck, one output per cell.

    Args:
        length: sequence length.
        cells: outputs; published models have tens of thousands.
        scale: multiplies the filters of all convolutions.
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [B, cells]`.
    """
    x = inputs = L.Input((length, 4))
    stages = ((288, 17, 3), (288, 5, 2), (323, 5, 2), (363, 5, 2), (407, 5, 2), (456, 5, 2), (512, 5, 2), (256, 1, 1))
    for i, (filters, width, pool) in enumerate(stages):
        if i:
            x = L.Activation("gelu")(x)
        x = L.Conv1D(max(int(filters * scale), 1), width, padding="same", use_bias=False)(x)
        x = L.BatchNormalization()(x)
        x = L.MaxPooling1D(pool, padding="same")(x) if pool > 1 else x
    x = L.Activation("gelu")(x)
    x = L.Reshape((1, x.shape[1] * x.shape[2]))(x)
    x = L.Dropout(0.2)(L.BatchNormalization()(L.Dense(32, use_bias=False)(x)))
    x = L.Flatten()(L.Dense(cells, activation="sigmoid")(L.Activation("gelu")(x)))
    return randomize(keras.Model(inputs, x, name="scbasset"), seed)


@checked_sizes
def optimus_5prime(length: int = 50, seed: int = 0) -> Any:
    """Optimus 5-prime (Sample et al. 2019): ribosome load of a 5' UTR; even kernels.

    Args:
        length: sequence length.
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [B, 1]`.
    """
    x = inputs = L.Input((length, 4))
    for _ in range(3):
        x = L.Conv1D(120, 8, padding="same", activation="relu")(x)
    x = L.Dropout(0.2)(L.Activation("relu")(L.Dense(40)(L.Flatten()(x))))
    return randomize(keras.Model(inputs, L.Dense(1)(x), name="optimus_5prime"), seed)
