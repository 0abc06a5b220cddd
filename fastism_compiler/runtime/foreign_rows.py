"""Whole sequences, scored by another library than the model's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.reference import whole
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.frontend.source import SourceModel
from fastism_compiler.ir import ChangeRanges, TensorType
from fastism_compiler.ir.types import FLOATS
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.passes import Context
from fastism_compiler.passes.canonicalize import CanonicalizePass
from fastism_compiler.runtime.devices import weights_of
from fastism_compiler.runtime.foreign_engine import Flat, Foreign, Runtime
from fastism_compiler.runtime.naive import WholeScorer, in_batches


class ForeignRows:
    """Scores whole sequences where programs run.

    The model itself scores what is not finite there, since optimisers drop some NaN and make others; and everything,
    if the library does not know an op of the model.

    Args:
        prepare: returns what runs, and the function of flat inputs that it runs; called when it is needed.
        types: of the inputs.
        model: the model itself.
    """

    def __init__(
        self, prepare: Callable[[], tuple[Foreign, Flat]], types: Sequence[TensorType], model: WholeScorer
    ) -> None:
        self._prepare, self._types, self._model = prepare, types, model
        self._prepared: tuple[Foreign, Flat] | None = None
        self._refused = False

    @staticmethod
    def of(source: SourceModel, runtime: Runtime, model: WholeScorer) -> ForeignRows:
        """Those of a model: what its graph says, with all its outputs."""

        def prepare() -> tuple[Foreign, Flat]:
            graph = source.graph.copy()
            CanonicalizePass().run(graph, Context(ChangeRanges.everywhere(1, 1)))  # emitters know no macros

            def run(*inputs: Any) -> list[Any]:
                return [tf.identity(y) for y in whole(graph, source.bindings, list, inputs, inputs[0].shape[0])[1]]

            return Foreign(runtime, source, weights_of(graph, source, list)), run

        return ForeignRows(prepare, [n.type for n in source.graph.inputs], model)

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Flat outputs `[n, *out]` for flat inputs `[n, ...]`."""
        if not self._refused:
            try:
                return self._trusted(inputs, self._there(inputs))
            except UnsupportedError:
                self._refused = True
        return self._model(inputs)

    def _there(self, inputs: Sequence[Array]) -> list[Array]:
        """The outputs as the library computes them."""
        if self._prepared is None:
            self._prepared = self._prepare()
        foreign, run = self._prepared
        weights, place = foreign.placed(), foreign.runtime.place

        def score(block: list[Array]) -> list[Any]:
            rows = len(block[0])
            specs = [tf.TensorSpec([rows, *t.shape[1:]], t.dtype) for t in self._types]
            return foreign.module(rows, run, specs)(*map(place, block), *weights)

        return in_batches(score, inputs, self._model.rows)

    def _trusted(self, inputs: Sequence[Array], outputs: list[Array]) -> list[Array]:
        """The outputs, with rows that are not finite by the model itself."""
        finite = np.ones(len(inputs[0]), bool)
        for y in outputs:
            if y.dtype.name in FLOATS:
                finite &= np.isfinite(y).reshape(len(y), -1).all(axis=1)
        odd = np.flatnonzero(~finite)
        if len(odd):
            for y, better in zip(outputs, self._model([x[odd] for x in inputs]), strict=True):
                y[odd] = better
        return outputs
