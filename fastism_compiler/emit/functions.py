"""Functions of one tensor, by the name of their op."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import keras
import tensorflow as tf

Tensor = Any
Function = Callable[..., Tensor]


def function_named(name: str) -> Function:
    """The function that an op of this name applies; its parameters are keyword arguments."""
    function: Function = _OWN.get(name) or getattr(keras.ops, name)
    return function


def traced(run: Callable[..., Any], jit: bool) -> Any:
    """`tf.function(run)`, for functions that are created again and again.

    TensorFlow counts traces per code object, and warns where many functions
    share one, as if one function were retraced. A `partial` has no code object.
    """
    own: Any = partial(run)
    own.__name__ = run.__name__
    return tf.function(own, jit_compile=jit, autograph=False)


def layer_scope(layer: str | None) -> Any:
    """Names the ops emitted inside after a layer, so that an error about an op can name its layer."""
    return tf.name_scope(scope_name(layer)) if layer else nullcontext()


def scope_name(layer: str) -> str:
    """A layer's name in the letters that TensorFlow allows."""
    return "layer." + re.sub(r"[^A-Za-z0-9.-]", "_", layer)


def _relu(x: Tensor, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    return keras.activations.relu(x, negative_slope=negative_slope, max_value=max_value, threshold=threshold)


_OWN: dict[str, Function] = {
    "identity": tf.identity,
    "relu": _relu,
    "elu": keras.activations.elu,
    "exponential": keras.activations.exponential,
    "clip": lambda x, x_min, x_max: tf.clip_by_value(x, tf.constant(x_min, x.dtype), tf.constant(x_max, x.dtype)),
    "rsqrt": tf.math.rsqrt,
    "mish": keras.activations.mish,
}
"""Where `keras.ops` has no function of that name, or one with other defaults."""
