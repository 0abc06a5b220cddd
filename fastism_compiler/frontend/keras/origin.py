"""What a compiled program still asks of its Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

import keras

from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.keras import private
from fastism_compiler.frontend.keras.fingerprint import Fingerprint, Watch, changed_layers, fingerprint, steady
from fastism_compiler.frontend.keras.naive import NaiveRows
from fastism_compiler.frontend.keras.reduction import append_function
from fastism_compiler.frontend.source import FlatFunction, Origin, Weight
from fastism_compiler.ir import Graph, Node
from fastism_compiler.mutations.inputs import InputSpec


@dataclass(frozen=True, slots=True, eq=False)
class KerasOrigin(Origin):
    """A Keras model, the nest in which it takes its inputs, and their types."""

    model: Any
    structure: Any
    inputs: InputSpec
    watch: Watch = field(default_factory=Watch)

    def oracle(self, rows: int, *, jit: bool = False) -> NaiveRows:
        """The model itself on whole sequences."""
        return NaiveRows(self.model, self.structure, self.inputs, jit=jit, rows=rows)

    def append(self, graph: Graph, bindings: Bindings, function: FlatFunction) -> list[Node] | None:
        """Append a function that is made of `keras.ops`."""
        return append_function(graph, bindings, function)

    def weights(self, bindings: Bindings) -> list[Weight]:
        """The model's variables, then those that only a user's function reads."""
        bound = [v for v in bindings.parameters.values() if isinstance(v, keras.Variable)]
        return list({id(v): v for v in [*self.model.variables, *bound]}.values())

    def weights_as(self, weights: Sequence[Weight], values: Sequence[Any]) -> AbstractContextManager[Any]:
        """A context in which Keras, in opaque layers too, reads `values` in place of the variables `weights`."""
        scope: AbstractContextManager[Any] = keras.StatelessScope(state_mapping=list(zip(weights, values, strict=True)))
        return scope

    def fingerprint(self) -> Fingerprint:
        """Which layers compute what (see `fingerprint`)."""
        return fingerprint(self.model)

    def rehearse(self) -> None:
        """Trace the model, if it has custom layers.

        If it cannot be traced, what its calls write counts as a change later, and costs a compilation.
        """
        if any(private.is_custom(layer) for layer in [self.model, *private.layers_of(self.model)]):
            with suppress(Exception):  # whatever a user's code raises
                self.oracle(rows=1).trace()

    def steady(self, one: Fingerprint, other: Fingerprint) -> Fingerprint:
        """The fingerprint `one`, with what calls of the model write left out of comparisons."""
        return steady(one, other)

    def changed(self, before: Fingerprint) -> list[str]:
        """Names of the layers that were changed since the fingerprint `before`."""
        if self.watch.untouched(before, self.model):
            return []
        changed = changed_layers(before, fingerprint(self.model))
        if not changed:
            self.watch.look(before, self.model)
        return changed

    def configuration(self) -> str | None:
        """The model as JSON; None where a custom layer has no configuration."""
        try:
            return str(self.model.to_json())
        except Exception:  # whatever a custom layer's get_config raises
            return None
