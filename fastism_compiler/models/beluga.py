"""DeepSEA Beluga (Zhou et al. 2018): 2,002 chromatin profiles from 2,000 bases."""

from __future__ import annotations

from typing import Any

import keras

from fastism_compiler.models.randomize import randomize
from fastism_compiler.models.sizes import checked_sizes

L = keras.layers


@checked_sizes
def beluga(length: int = 2000, outputs: int = 2002, scale: float = 1.0, seed: int = 0) -> Any:
    """Six `valid` convolutions of width 8 in three pairs, two Dense layers.

    Args:
        length: sequence length.
        outputs: profiles.
        scale: multiplies every layer's width, for small copies.
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [B, outputs]`.
    """
    x = inputs = L.Input((length, 4))
    for pair, filters in enumerate((320, 480, 640)):
        if pair:
            x = L.MaxPooling1D(4)(x)
            x = L.Dropout(0.2)(x)
        for _ in range(2):
            x = L.Conv1D(max(int(filters * scale), 1), 8)(x)
            x = L.ReLU()(x)
    x = L.Flatten()(L.Dropout(0.5)(x))
    x = L.ReLU()(L.Dense(max(int(2003 * scale), 1))(x))
    x = L.Dense(outputs, activation="sigmoid")(x)
    return randomize(keras.Model(inputs, x, name="beluga"), seed)
