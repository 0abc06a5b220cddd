"""Basset and Factorized Basset, as in the model zoo of kundajelab/fastISM."""

from __future__ import annotations

from typing import Any

import keras

from fastism_compiler.models.randomize import randomize
from fastism_compiler.models.sizes import checked_sizes

L = keras.layers


@checked_sizes
def basset(length: int = 1000, channels: int = 4, outputs: int = 1, seed: int = 0) -> Any:
    """Basset (Kelley et al. 2016): three wide convolutions, two hidden Dense layers.

    Args:
        length: sequence length.
        channels: letters.
        outputs: tasks.
        seed: of the random weights.

    Returns:
        A model `[B, length, channels] -> [B, outputs]`.
    """
    x = inputs = L.Input((length, channels))
    for filters, width, pool in ((300, 19, 3), (200, 11, 4), (200, 7, 4)):
        x = L.Conv1D(filters, width, padding="same", activation="relu")(x)
        x = L.BatchNormalization()(x)
        x = L.MaxPooling1D(pool)(x)
    return randomize(keras.Model(inputs, _head(x, outputs), name="basset"), seed)


@checked_sizes
def factorized_basset(length: int = 1000, channels: int = 4, outputs: int = 1, seed: int = 0) -> Any:
    """Factorized Basset (Nair et al. 2019): Basset with its wide convolutions split up.

    Args:
        length: sequence length.
        channels: letters.
        outputs: tasks.
        seed: of the random weights.

    Returns:
        A model `[B, length, channels] -> [B, outputs]`.
    """
    stages = (
        (((48, 3), (64, 3), (100, 3), (150, 7), (300, 7)), 3),
        (((200, 7), (200, 3), (200, 3)), 4),
        (((200, 7),), 4),
    )
    x = inputs = L.Input((length, channels))
    for convolutions, pool in stages:
        for filters, width in convolutions:
            x = L.Conv1D(filters, width, padding="same")(x)
            x = L.BatchNormalization()(x)
            x = L.ReLU()(x)
        x = L.MaxPooling1D(pool)(x)
    return randomize(keras.Model(inputs, _head(x, outputs), name="factorized_basset"), seed)


def _head(x: Any, outputs: int) -> Any:
    x = L.Flatten()(x)
    for _ in range(2):
        x = L.Dense(1000, activation="relu")(x)
        x = L.BatchNormalization()(x)
    return L.Dense(outputs)(x)
