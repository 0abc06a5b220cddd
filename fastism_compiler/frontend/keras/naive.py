"""A Keras model on whole sequences: naive ISM, in the model's own precision and in float64."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from fastism_compiler.emit.functions import traced
from fastism_compiler.errors import InputError
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.mutations.inputs import Array, InputSpec
from fastism_compiler.runtime.naive import in_batches

_ROWS = 64


@contextmanager
def _refusals() -> Iterator[None]:
    """Report what the model itself refuses, such as a token without an Embedding row, as an error of the input.

    Raises:
        InputError: in place of TensorFlow's error.
    """
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        lines = str(error.message).strip().splitlines()
        told = next((line for line in lines if "is not in [" in line), lines[0])
        raise InputError("the model refuses these inputs", got=told.strip()[:200]) from error


class NaiveRows:
    """Scores whole sequences with the user's own model.

    Args:
        model: the Keras model.
        structure: the nest in which it takes its inputs.
        inputs: what it takes.
        jit: compile with XLA, which needs batches of few sizes.
        rows: maximum number of sequences per call.
    """

    def __init__(self, model: Any, structure: Any, inputs: InputSpec, *, jit: bool = False, rows: int = _ROWS) -> None:
        self.rows = rows
        self._model, self._structure, self._inputs, self._jit = model, structure, inputs, jit
        self._float64: NaiveRows | None = None
        self._traced = traced(self._run, jit)
        self._open: Any = None

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Flat outputs `[n, *out]` for flat inputs `[n, ...]`, the sequence as `[n, L, C]` or tokens."""
        inputs = self._inputs.as_taken(inputs)
        with _refusals():
            if self._jit:
                return in_batches(self._traced, inputs, self.rows)
            return in_batches(self._with_open_batch, inputs, self.rows, pad=False)

    def step_by_step(self, inputs: Sequence[Array]) -> list[Array]:
        """The same in eager mode: the graph optimiser loses NaN in some maxima."""
        inputs = self._inputs.as_taken(inputs)
        with _refusals():
            return in_batches(lambda block: self._run([tf.constant(x) for x in block]), inputs, self.rows, pad=False)

    def in_float64(self) -> NaiveRows | None:
        """The same model cloned to float64, weights copied: the exact oracle; None where it cannot be cloned."""
        if self._float64 is None:
            try:
                clone = float64_clone(self._model)
            except (ValueError, TypeError, NotImplementedError):  # a layer not fully described by its configuration
                return None
            self._float64 = NaiveRows(clone, self._structure, self._inputs, rows=self.rows)
        return self._float64

    def _run(self, inputs: list[Any]) -> list[Any]:
        packed = keras.tree.pack_sequence_as(self._structure, inputs)
        return list(keras.tree.flatten(self._model(packed, training=False)))

    def trace(self) -> None:
        """Trace the model for any number of sequences, without running it."""
        types = [self._inputs.taken(i) for i in range(len(self._inputs.types))]
        self._traced.get_concrete_function([tf.TensorSpec([None, *t.shape[1:]], t.dtype) for t in types])

    def _with_open_batch(self, inputs: list[Array]) -> list[Any]:
        """One trace for every number of sequences, where the model can be traced with an open batch axis."""
        if self._open is None:
            specs = [tf.TensorSpec([None, *x.shape[1:]], x.dtype) for x in inputs]
            try:
                self._open = self._traced.get_concrete_function(specs)
            except (
                Exception
            ):  # an operation may need the whole shape; an error of the model itself is raised again below
                self._open = self._traced
        results: list[Any] = self._open([tf.constant(x) for x in inputs])
        return results
