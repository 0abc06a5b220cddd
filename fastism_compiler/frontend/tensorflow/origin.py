"""What a compiled program still asks of its SavedModel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.functions import traced
from fastism_compiler.errors import InputError, first_line
from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.keras.reduction import append_function
from fastism_compiler.frontend.source import FlatFunction, Origin
from fastism_compiler.frontend.tensorflow.frozen import FrozenFunction
from fastism_compiler.ir import Graph, Node
from fastism_compiler.mutations.inputs import Array, InputSpec
from fastism_compiler.runtime.naive import in_batches


class FrozenRows:
    """Scores whole sequences with the serving function itself.

    Args:
        function: the serving function.
        inputs: what it takes.
        rows: maximum number of sequences per call.
        jit: compile with XLA.
        wide: give floats to the function in float64.
    """

    def __init__(
        self, function: FrozenFunction, inputs: InputSpec, rows: int, *, jit: bool = False, wide: bool = False
    ) -> None:
        self.rows = rows
        self._function, self._inputs, self._jit, self._wide = function, inputs, jit, wide
        self._traced = traced(self._run, jit)
        self._without_xla = traced(self._run, False) if jit else self._traced

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Flat outputs `[n, *out]` for flat inputs `[n, ...]`, the sequence as `[n, L, C]` or tokens."""
        return self._in_batches(self._traced, inputs)

    def step_by_step(self, inputs: Sequence[Array]) -> list[Array]:
        """The same without XLA; a loaded graph cannot be run operation by operation."""
        return self._in_batches(self._without_xla, inputs)

    def in_float64(self) -> FrozenRows:
        """The same in float64."""
        return FrozenRows(self._function.widened(), self._inputs, self.rows, wide=True)

    def _run(self, inputs: list[Any]) -> list[Any]:
        return self._function(*inputs)

    def _in_batches(self, score: Any, inputs: Sequence[Array]) -> list[Array]:
        taken = self._inputs.as_taken(inputs)
        wide = [x.astype(np.float64) if self._wide and x.dtype == np.float32 else x for x in taken]
        try:
            return in_batches(lambda block: score([tf.constant(x) for x in block]), wide, self.rows, pad=self._jit)
        except tf.errors.InvalidArgumentError as error:
            raise InputError("the model refuses these inputs", got=first_line(error)) from error


@dataclass(frozen=True, slots=True, eq=False)
class SavedModelOrigin(Origin):
    """A serving function, and what it takes. Its weights are constants."""

    function: FrozenFunction
    inputs: InputSpec

    def oracle(self, rows: int, *, jit: bool = False) -> FrozenRows:
        """The model itself on whole sequences."""
        return FrozenRows(self.function, self.inputs, rows, jit=jit)

    def append(self, graph: Graph, bindings: Bindings, function: FlatFunction) -> list[Node] | None:
        """Append a function that is made of `keras.ops`."""
        return append_function(graph, bindings, function)
