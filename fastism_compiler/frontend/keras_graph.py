"""The only file that reads Keras's private structures (a contract test watches them).

Keras 3 records a functional model as nodes (one call of an operation each);
their arguments, inputs and outputs are private but stable since 3.0.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True, slots=True)
class KerasNode:
    """One call of one operation inside a functional model."""

    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Any]


def function_of(model: Any) -> Any | None:
    """The functional graph behind a model, or None where there is none (a subclassed model)."""
    if isinstance(model, keras.Sequential):
        return getattr(model, "_functional", None)
    return model if isinstance(model, keras.Function) and hasattr(model, "_nodes_by_depth") else None


def calls(function: Any) -> Iterator[KerasNode]:
    """The calls of a functional graph in the order they run, inputs left out."""
    by_depth = function._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if node.is_input:
                continue
            arguments = node.arguments
            yield KerasNode(node.operation, tuple(arguments.args), dict(arguments.kwargs), list(node.outputs))


def input_structure(function: Any) -> Any:
    """The nest (tensor, list or dict) in which the model takes its inputs."""
    return function._inputs_struct


def output_structure(function: Any) -> Any:
    """The nest in which the model returns its outputs."""
    return function._outputs_struct


def takes_training(operation: Any) -> bool:
    """Whether the operation's call has a `training` argument."""
    if not isinstance(operation, keras.layers.Layer):
        return False
    known = getattr(operation, "_call_has_training_arg", None)
    return known if known is not None else "training" in inspect.signature(operation.call).parameters


def is_keras_operation(operation: Any) -> bool:
    """Whether this is one of Keras's own `keras.ops` operations."""
    return type(operation).__module__.startswith("keras.src.ops.")


def static_attributes(operation: Any) -> dict[str, Any]:
    """The arguments a `keras.ops` operation was made with."""
    return {k: v for k, v in vars(operation).items() if not k.startswith("_") and k not in ("name", "built")}
