"""What a compiled program still asks of the models of its ensemble."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.ensemble.models import Ensemble
from fastism_compiler.frontend.source import FlatFunction, Origin, Weight
from fastism_compiler.ir import Graph, Node
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.runtime.naive import WholeScorer


@dataclass(frozen=True, slots=True, eq=False)
class EnsembleOrigin(Origin):
    """The models, and how their outputs are combined."""

    members: tuple[Origin, ...]
    ensemble: Ensemble

    def oracle(self, rows: int, *, jit: bool = False) -> WholeScorer:
        """Every model on whole sequences, combined."""
        return EnsembleRows([member.oracle(rows, jit=jit) for member in self.members], self.ensemble)

    def append(self, graph: Graph, bindings: Bindings, function: FlatFunction) -> list[Node] | None:
        """As the first model does."""
        return self.members[0].append(graph, bindings, function)

    def weights(self, bindings: Bindings) -> list[Weight]:
        """The weights of all models; models that share a weight have it once."""
        return list({id(weight): weight for member in self.members for weight in member.weights(bindings)}.values())

    def weights_as(self, weights: Sequence[Weight], values: Sequence[Any]) -> AbstractContextManager[Any]:
        """As the first model that has weights does: they are all of its framework."""
        with_weights = (member for member in self.members if member.weights(Bindings()))
        member = next(with_weights, None)
        return nullcontext() if member is None else member.weights_as(weights, values)

    def fingerprint(self) -> Mapping[str, Any]:
        """The fingerprint of every model, by its number."""
        return {str(k): member.fingerprint() for k, member in enumerate(self.members)}

    def rehearse(self) -> None:
        """Trace every model that has custom layers."""
        for member in self.members:
            member.rehearse()

    def steady(self, one: Mapping[str, Any], other: Mapping[str, Any]) -> Mapping[str, Any]:
        """The part of every fingerprint that use does not change."""
        return {str(k): member.steady(one[str(k)], other[str(k)]) for k, member in enumerate(self.members)}

    def changed(self, before: Mapping[str, Any]) -> list[str]:
        """Names of the layers that were changed, with the number of their model."""
        return [f"{k}/{name}" for k, member in enumerate(self.members) for name in member.changed(before[str(k)])]

    def configuration(self) -> str | None:
        """The configurations of all models; None if one has none."""
        found = [member.configuration() for member in self.members]
        return None if None in found else json.dumps([str(self.ensemble.combine), *found])


class EnsembleRows:
    """Scores whole sequences with every model, and combines the results.

    Args:
        members: one per model.
        ensemble: how results are combined.
    """

    def __init__(self, members: Sequence[WholeScorer], ensemble: Ensemble) -> None:
        self.rows = min(member.rows for member in members)
        self._members, self._ensemble = members, ensemble

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Flat outputs `[n, *out]`."""
        return self._combined([member(inputs) for member in self._members])

    def step_by_step(self, inputs: Sequence[Array]) -> list[Array]:
        """The same, one operation after the other."""
        return self._combined([member.step_by_step(inputs) for member in self._members])

    def in_float64(self) -> EnsembleRows | None:
        """The same models in float64; None if one of them cannot be widened."""
        wide = [member.in_float64() for member in self._members]
        found = [member for member in wide if member is not None]
        return EnsembleRows(found, self._ensemble) if len(found) == len(wide) else None

    def _combined(self, outputs: Sequence[list[Array]]) -> list[Array]:
        with np.errstate(all="ignore"):  # NaN and infinity are results like others
            flat = [y for each in outputs for y in each]
            if self._ensemble.combine is None:
                return flat
            return [np.asarray(y) for y in self._ensemble.combined([_wide(y) for y in flat])]


def _wide(y: Array) -> Array:
    """What programs combine: outputs narrower than float32, and whole numbers, are float32 there."""
    return y if y.dtype in (np.float32, np.float64) else y.astype(np.float32)
