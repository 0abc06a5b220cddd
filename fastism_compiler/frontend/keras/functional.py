"""The functional graph of any Keras model, subclassed ones included."""

from __future__ import annotations

from typing import Any

from fastism_compiler.errors import ModelError
from fastism_compiler.frontend.keras import private


def functional_graph(model: Any) -> Any:
    """The functional graph of a model.

    A subclassed model is traced with symbolic Keras tensors; one that uses
    more than Keras layers and `keras.ops` becomes a single opaque node.

    Raises:
        ModelError: a model that was never built, or that TensorFlow cannot trace.
    """
    function = private.function_of(model)
    if function is not None:
        return function
    symbol = private.built_symbol(model)
    if symbol is None:
        raise ModelError(
            "the model must have a functional graph, or have been built on one input",
            expected="a functional or Sequential model, or a subclassed one that has been called once",
            got=type(model).__name__,
        )
    training = {"training": False} if private.takes_training(model) else {}
    try:
        return private.trace(model, [symbol], training)
    except Exception as symbolic:
        try:
            return private.wrap(model, symbol)
        except Exception as error:
            raise ModelError(
                "a subclassed model must be made of operations that can be traced, without Python control flow on "
                "tensors",
                expected="a call() of Keras layers, keras.ops or tf operations; or a functional model",
                got=f"{type(model).__name__}: {error}",
            ) from symbolic
