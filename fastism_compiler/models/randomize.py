"""Random weights under which every part of a model matters."""

from __future__ import annotations

from typing import Any

import numpy as np


def randomize(model: Any, seed: int = 0) -> Any:
    """Give a model reproducible weights: He-normal kernels, random normalisation statistics.

    Args:
        model: a built Keras model; changed in place.
        seed: any integer.

    Returns:
        The same model.
    """
    for number, variable in enumerate(model.weights):  # by number: Keras counts names on from model to model
        rng = np.random.default_rng([seed, number])
        variable.assign(_draw(rng, variable.path.split("/")[-1], tuple(variable.shape)))
    return model


def _draw(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    noise = rng.standard_normal(shape)
    if name in ("moving_variance", "gamma", "scale"):
        return 1.0 + 0.2 * np.tanh(noise)
    if len(shape) < 2:
        return 0.1 * noise
    fan_in = int(np.prod(shape[:-1]))
    return noise * np.sqrt(2.0 / fan_in)
