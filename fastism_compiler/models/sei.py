"""Sei (Chen et al. 2022): 21,907 chromatin profiles from 4,096 bases."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from fastism_compiler.models.randomize import randomize
from fastism_compiler.models.sizes import checked_sizes

L = keras.layers


@checked_sizes
def sei(length: int = 4096, outputs: int = 21_907, scale: float = 1.0, bases: int = 16, seed: int = 0) -> Any:
    """Pairs of linear convolutions beside nonlinear ones, dilated residual blocks, B-splines over positions, two Dense.

    Args:
        length: sequence length.
        outputs: profiles; the first Dense layer is as wide.
        scale: multiplies the filters, for small copies.
        bases: B-splines.
        seed: of the random weights; the B-splines do not depend on it.

    Returns:
        A model `[B, length, 4] -> [B, outputs]`.
    """
    x = inputs = L.Input((length, 4))
    for level, filters in enumerate((480, 640, 960)):
        width = max(round(filters * scale), 1)
        if level:
            x = L.Dropout(0.2)(L.MaxPooling1D(4)(x))
        linear = _pair(x, width, None)
        nonlinear = _pair(L.Dropout(0.2)(linear) if level else linear, width, "relu")
        x = L.Add()([nonlinear, linear])
    # the first block reads the sum, and is added to the nonlinear part alone
    total = nonlinear
    for dilation in (2, 4, 8, 16, 25):
        x = L.Conv1D(width, 5, padding="same", dilation_rate=dilation, activation="relu")(L.Dropout(0.1)(x))
        x = total = L.Add()([total, x])
    x = L.Permute((2, 1))(L.Dropout(0.5)(x))
    x = L.Flatten()(L.Dense(bases, use_bias=False, trainable=False, name="splines")(x))
    x = L.Dense(outputs, activation="sigmoid")(L.Dense(outputs, activation="relu")(x))
    model = randomize(keras.Model(inputs, x, name="sei"), seed)
    model.get_layer("splines").set_weights([b_splines(length // 16, bases)])
    return model


def _pair(x: Any, filters: int, activation: str | None) -> Any:
    for _ in range(2):
        x = L.Conv1D(filters, 9, padding="same", activation=activation)(x)
    return x


def b_splines(positions: int, count: int, degree: int = 3) -> npt.NDArray[np.float64]:
    """Values of B-splines on evenly spaced knots over `0 ... positions - 1`: `[positions, count]`.

    The recursion of Cox and de Boor (de Boor, A Practical Guide to Splines, chapter IX).
    """
    x, last = np.arange(positions, dtype=np.float64), positions - 1
    inner = np.linspace(0, last, count - degree + 1)
    knots = np.concatenate([[0] * degree, inner, [last] * degree])
    # the last position belongs to the last piece
    piece = np.minimum(np.searchsorted(inner, x, side="right") - 1, len(inner) - 2) + degree
    values = np.eye(len(knots) - 1)[piece]
    for order in range(1, degree + 1):
        ramp = _ramp(x, knots[:-order], knots[order:])
        values = ramp[:, :-1] * values[:, :-1] + (1 - ramp[:, 1:]) * values[:, 1:]
    return values


def _ramp(x: Any, start: Any, stop: Any) -> Any:
    """From 0 at each start to 1 at each stop; 0 where these are the same: `[positions, starts]`."""
    width = stop - start
    return np.where(width > 0, (x[:, None] - start) / np.where(width > 0, width, 1), 0)
