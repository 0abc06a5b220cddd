"""Weights as arguments: for targets that know no variables, and for devices that hold copies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from fastism_compiler.errors import UnsupportedError
from fastism_compiler.frontend.source import SourceModel, Weight
from fastism_compiler.ir.queries import rule_of


def with_weights(run: Callable[..., Any], source: SourceModel | None, weights: Sequence[Weight]) -> Callable[..., Any]:
    """`run` with the values of `weights` as further arguments behind its own (none without a model)."""
    if source is None:
        return run
    count = len(weights)

    def call(*arguments: Any) -> Any:
        own, values = arguments[: len(arguments) - count], arguments[len(arguments) - count :]
        with source.origin.weights_as(weights, values):
            return run(*own)

    return call


def weights_read(run: Callable[..., Any], specs: Sequence[tf.TensorSpec], source: SourceModel) -> list[Weight]:
    """The model's weights that `run` reads, in the order of the model; without variables that hold constants.

    Raises:
        UnsupportedError: a layer that keeps a variable of its own, or another resource.
    """
    traced = tf.function(run, autograph=False).get_concrete_function(*specs)
    known = {id(w.value): w for w in source.origin.weights(source.bindings)}
    read, held = {id(v): v for v in traced.variables}, {id(v) for v in source.bindings.held}
    for key, variable in read.items():
        if key not in known and key not in held:
            raise _not_an_argument(source, f"variable {variable.name!r}")
    if sum(t.dtype == tf.resource for t in traced.captured_inputs) > len(read):
        raise _not_an_argument(source, "a resource that is no variable, such as a lookup table")
    return [weight for key, weight in known.items() if key in read]


def opaque_layers(source: SourceModel | None) -> list[str]:
    """Layers that run as they are, and may do what only TensorFlow can; none without a model."""
    return [] if source is None else sorted({str(n.layer) for n in source.graph if rule_of(n).opaque})


def _not_an_argument(source: SourceModel, got: str) -> UnsupportedError:
    return UnsupportedError(
        "weights outside Keras variables cannot be passed as arguments, which other devices and formats need; make "
        "them with add_weight, or run on one device of TensorFlow and export as savedmodel",
        expected=f"Keras variables only, in layers {opaque_layers(source)}",
        got=got,
    )
