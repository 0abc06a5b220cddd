"""Functions of one array, by the name of their op; parameters and their defaults are those of `keras.ops`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from fastism_compiler.ir.interpreter.arrays import Array

Function = Callable[..., Array]

_erf: Callable[[Array], Array] = np.vectorize(math.erf, otypes=[np.float64])
_SELU = 1.0507009873554805, 1.6732632423543772
"""Klambauer et al. 2017: scale and alpha."""


def _relu(x: Array, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Array:
    y = np.where(x > threshold, x, negative_slope * (x - threshold))
    return y if max_value is None else np.where(x >= max_value, max_value, y)


def _elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(x))


def _celu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(x / alpha))


def _sigmoid(x: Array) -> Array:
    return np.exp(-np.logaddexp(0, -x))


def _hard_sigmoid(x: Array) -> Array:
    return np.clip(x + 3, 0, 6) / 6


def _clip(x: Array, x_min: float, x_max: float) -> Array:
    return np.clip(x, x_min, x_max)


def _gelu(x: Array, approximate: bool = True) -> Array:
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def _sparse_plus(x: Array) -> Array:
    return np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x))


def _threshold(x: Array, threshold: float, default_value: float) -> Array:
    return np.where(x > threshold, x, default_value)


def _soft_shrink(x: Array, threshold: float = 0.5) -> Array:
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


FUNCTIONS: dict[str, Function] = {
    "identity": lambda x: x,
    "relu": _relu,
    "leaky_relu": lambda x, negative_slope=0.2: np.where(x >= 0, x, negative_slope * x),
    "relu6": lambda x: np.clip(x, 0, 6),
    "elu": _elu,
    "celu": _celu,
    "selu": lambda x: _SELU[0] * _elu(x, _SELU[1]),
    "sigmoid": _sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "tanh": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "softplus": lambda x: np.logaddexp(x, 0),
    "softsign": lambda x: x / (1 + np.abs(x)),
    "silu": lambda x: x * _sigmoid(x),
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "gelu": _gelu,
    "exp": np.exp,
    "expm1": np.expm1,
    "exponential": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "log_sigmoid": lambda x: -np.logaddexp(0, -x),
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "square": np.square,
    "reciprocal": lambda x: 1 / x,
    "abs": np.abs,
    "sin": np.sin,
    "cos": np.cos,
    "erf": _erf,
    "mish": lambda x: x * np.tanh(np.logaddexp(x, 0)),
    "threshold": _threshold,
    "soft_shrink": _soft_shrink,
    "hard_shrink": lambda x, threshold=0.5: np.where(np.abs(x) > threshold, x, 0),
    "squareplus": lambda x, b=4: (x + np.sqrt(x * x + b)) / 2,
    "sparse_plus": _sparse_plus,
    "clip": _clip,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.round,
    "negative": np.negative,
    "logical_not": np.logical_not,
}
"""Op kind -> function; every element by itself."""
