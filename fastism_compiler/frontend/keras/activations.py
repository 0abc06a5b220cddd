"""Activation functions as ops: Keras's own by table, layers by their own rules."""

from __future__ import annotations

from typing import Any

import keras

from fastism_compiler.frontend.builder import Builder, Decline
from fastism_compiler.ir import Node

_NAMES = (
    "relu", "leaky_relu", "relu6", "elu", "celu", "selu", "sigmoid", "hard_sigmoid", "tanh", "hard_tanh", "tanh_shrink",
    "softplus", "softsign", "silu", "hard_silu", "gelu", "exponential", "log_sigmoid", "mish", "threshold",
    "soft_shrink", "hard_shrink", "squareplus", "sparse_plus",
)  # fmt: skip
FUNCTIONS: dict[Any, str] = {
    getattr(keras.activations, name): name for name in _NAMES if hasattr(keras.activations, name)
}
"""Keras activation function -> op kind (defaults of the function apply)."""

_SOFTMAX = {keras.activations.softmax: "softmax", keras.activations.log_softmax: "log_softmax"}
_DEFAULTS: dict[str, dict[str, Any]] = {"gelu": {"approximate": False}, "leaky_relu": {"negative_slope": 0.2}}


def apply_activation(builder: Builder, activation: Any, x: Node) -> Node:
    """`activation(x)`; None and `linear` leave `x` as it is.

    A function that is none of Keras's is followed: it becomes the operations it is made of.

    Raises:
        Decline: a function that cannot be followed.
    """
    if activation is None or activation is keras.activations.linear:
        return x
    if activation in _SOFTMAX:
        return builder.add(_SOFTMAX[activation], x, axes=(x.type.rank - 1,))
    if activation in FUNCTIONS:
        name = FUNCTIONS[activation]
        return builder.add(name, x, **_DEFAULTS.get(name, {}))
    result = builder.follow(activation, x)
    if not isinstance(result, Node):
        raise Decline("an activation with several results")
    return result
