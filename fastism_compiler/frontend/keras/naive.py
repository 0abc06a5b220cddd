"""A Keras model on whole sequences: naive ISM, in the model's own precision and in float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from fastism_compiler.emit.functions import traced
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.runtime.naive import in_batches

_ROWS = 64


class NaiveRows:
    """Scores whole sequences with the user's own model, in padded batches of one size.

    Args:
        model: the Keras model.
        structure: the nest in which it takes its inputs.
        jit: compile with XLA.
        rows: sequences per call, where there are many.
    """

    def __init__(self, model: Any, structure: Any, *, jit: bool = False, rows: int = _ROWS) -> None:
        self.rows = rows
        self._model, self._structure = model, structure
        self._float64: NaiveRows | None = None

        def run(inputs: list[Any]) -> list[Any]:
            packed = keras.tree.pack_sequence_as(structure, inputs)
            return list(keras.tree.flatten(model(packed, training=False)))

        self._run = traced(run, jit)

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Flat outputs `[n, *out]` for flat inputs `[n, ...]`."""
        return in_batches(self._run, inputs, self.rows)

    def in_float64(self) -> NaiveRows | None:
        """The same model cloned to float64, weights copied: the exact oracle; None where it cannot be cloned."""
        if self._float64 is None:
            try:
                clone = float64_clone(self._model)
            except (ValueError, TypeError, NotImplementedError):  # a layer whose configuration is not all of it
                return None
            self._float64 = NaiveRows(clone, self._structure, rows=self.rows)
        return self._float64
