"""Weights as arguments: for targets that know no variables, and for devices that hold copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.frontend.keras.lowering import Lowered
from fastism_compiler.ir.queries import rule_of


@contextmanager
def weights_as(variables: Sequence[Any], values: Sequence[Tensor]) -> Iterator[None]:
    """Inside, whoever reads one of these Keras variables gets the given tensor: the graph and opaque layers alike."""
    with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
        yield


def with_weights(run: Callable[..., Any], variables: Sequence[Any]) -> Callable[..., Any]:
    """`run` with the values of `variables` as further arguments behind its own."""
    count = len(variables)

    def call(*arguments: Any) -> Any:
        own, values = arguments[: len(arguments) - count], arguments[len(arguments) - count :]
        with weights_as(variables, values):
            return run(*own)

    return call


def variables_read(run: Callable[..., Any], specs: Sequence[tf.TensorSpec], lowered: Lowered) -> list[Any]:
    """The Keras variables that `run` reads, in the order of the model.

    Raises:
        UnsupportedError: a layer that keeps a plain `tf.Variable`, or another resource.
    """
    traced = tf.function(run, autograph=False).get_concrete_function(*specs)
    bound = [v for v in lowered.bindings.parameters.values() if isinstance(v, keras.Variable)]
    known = {id(v.value): v for v in [*lowered.model.variables, *bound]}
    read = {id(v): v for v in traced.variables}
    for key, variable in read.items():
        if key not in known:
            raise _foreign(lowered, f"variable {variable.name!r}")
    if sum(t.dtype == tf.resource for t in traced.captured_inputs) > len(read):
        raise _foreign(lowered, "a resource that is no variable, such as a lookup table")
    return [variable for key, variable in known.items() if key in read]


def opaque_layers(lowered: Lowered) -> list[str]:
    """Layers that run as they are, and may do what only TensorFlow can."""
    return sorted({str(n.layer) for n in lowered.graph if rule_of(n).opaque})


def _foreign(lowered: Lowered, got: str) -> UnsupportedError:
    return UnsupportedError(
        "weights outside Keras variables cannot be passed as arguments, which other devices and formats need; make "
        "them with add_weight, or run on one device and export as savedmodel",
        expected=f"Keras variables only, in layers {opaque_layers(lowered)}",
        got=got,
    )
