"""Naive ISM: the model itself on every mutated sequence. The oracle, and the last resort."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from fastism_compiler.ir import ChangeRanges
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.letters import Letters

_ROWS = 64


class WholeScorer(Protocol):
    """Scores whole sequences.

    Attributes:
        rows: sequences per call.
    """

    rows: int

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Flat outputs `[n, *out]` for flat inputs `[n, ...]`."""

    def in_float64(self) -> WholeScorer:
        """The same in float64."""


class NaiveRows:
    """Scores whole sequences with the user's own model, in padded batches of one size.

    Args:
        model: the Keras model.
        structure: the nest in which it takes its inputs.
        jit: compile with XLA.
        rows: sequences per call, where there are many.
    """

    def __init__(self, model: Any, structure: Any, *, jit: bool = False, rows: int = _ROWS) -> None:
        import keras

        from fastism_compiler.emit.functions import traced

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

    def in_float64(self) -> NaiveRows:
        """The same model cloned to float64, weights copied: the exact oracle."""
        if self._float64 is None:
            self._float64 = NaiveRows(float64_clone(self._model), self._structure, rows=self.rows)
        return self._float64


def in_batches(score: Callable[[list[Array]], Sequence[Any]], inputs: Sequence[Array], rows: int) -> list[Array]:
    """Flat outputs `[n, *out]` of `score`, called with `rows` sequences each time, the last ones repeated.

    A few sequences are not worth as many: calls have one of two sizes.
    """
    count = len(inputs[0])
    rows = min(rows, _ROWS) if count <= _ROWS else rows
    pieces = []
    for begin in range(0, count, rows):
        block = [_padded(x[begin : begin + rows], rows) for x in inputs]
        pieces.append([np.asarray(y)[: count - begin] for y in score(block)])
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


def float64_clone(model: Any) -> Any:
    """A copy of a model with every layer in float64 and the same weights.

    Raises:
        ValueError: a subclassed model, or one whose `call` does more than its graph, which Keras would leave out.
    """
    import keras

    from fastism_compiler.frontend.keras.private import function_of

    if function_of(model) is None:
        raise ValueError(f"{type(model).__name__} cannot be cloned: its call is its own")

    def widen(layer: Any) -> Any:
        config = layer.get_config()
        _set_dtype(config)
        return type(layer).from_config(config)

    inputs = [_widened_input(t) for t in model.inputs]
    nest = inputs if isinstance(model, keras.Sequential) else keras.tree.pack_sequence_as(model._inputs_struct, inputs)
    clone = keras.models.clone_model(model, input_tensors=nest, clone_function=widen)
    clone.set_weights([np.asarray(w, dtype=np.float64) for w in model.get_weights()])
    return clone


def _widened_input(tensor: Any) -> Any:
    import keras

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


def _padded(x: Array, rows: int) -> Array:
    missing = rows - len(x)
    return np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing else x


def mutated(x: Array, letters: Letters, ranges: ChangeRanges, jobs: Any) -> Array:
    """The mutated sequences `[n, L, ...]` that `jobs` stand for."""
    rows = x[jobs.sequence].copy()
    for i, (change, replacement) in enumerate(zip(jobs.change, jobs.replacement, strict=True)):
        lo, hi = int(ranges.lo[change]), int(ranges.hi[change])
        letters.write(rows[i, lo:hi], replacement[: hi - lo])
    return rows
