"""A Keras model in float64."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import numpy as np

from fastism_compiler.frontend.keras.private import function_of, input_structure


def float64_clone(model: Any) -> Any:
    """A copy of a model with every layer in float64 and the same weights.

    Raises:
        ValueError: a subclassed model, or one whose `call` does more than its graph, which Keras would leave out.
    """
    if function_of(model) is None:
        raise ValueError(f"{type(model).__name__} cannot be cloned: its call is its own")

    inputs = [_widened_input(t) for t in model.inputs]
    nest = (
        inputs if isinstance(model, keras.Sequential) else keras.tree.pack_sequence_as(input_structure(model), inputs)
    )
    clone = keras.models.clone_model(model, input_tensors=nest, clone_function=_widened)
    clone.set_weights([np.asarray(w, dtype=np.float64) for w in model.get_weights()])
    return clone


def _widened(layer: Any) -> Any:
    """A layer of the same configuration in float64; functions in it are shared, as they cannot be serialised."""
    config = layer.get_config()
    _set_dtype(config)
    config |= {name: getattr(layer, name) for name in config if inspect.isfunction(getattr(layer, name, None))}
    if isinstance(layer, keras.layers.Lambda):  # its `from_config` needs serialised code
        return type(layer)(**config)
    return type(layer).from_config(config)


def _widened_input(tensor: Any) -> Any:
    dtype = "float64" if "float" in str(tensor.dtype) else tensor.dtype
    return keras.Input(batch_shape=tensor.shape, dtype=dtype, name=tensor.name)


def _set_dtype(config: Any) -> None:
    """Set every `dtype` in a nested layer configuration to float64."""
    if isinstance(config, dict):
        if "dtype" in config:
            config["dtype"] = "float64"
        for value in config.values():
            _set_dtype(value)
    elif isinstance(config, list | tuple):
        for value in config:
            _set_dtype(value)
