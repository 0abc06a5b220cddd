"""What a Keras model takes and returns: names, types, nests, and which input is the sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from fastism_compiler.frontend import sequence
from fastism_compiler.frontend.builder import dtype_name, widened
from fastism_compiler.frontend.keras import private
from fastism_compiler.frontend.source import ReadOptions
from fastism_compiler.ir import TensorType
from fastism_compiler.mutations.inputs import InputSpec, check_length


def find_sequence(function: Any, seq_input: int | str) -> int:
    """Position of the mutated input among the flat inputs of a functional graph.

    Raises:
        InputError: no input of that name or number.
    """
    return sequence.find_input([t.name for t in function.inputs], seq_input, _keys(function) or ())


def input_spec(function: Any, position: int, options: ReadOptions) -> InputSpec:
    """What a functional graph takes, with its `position`-th flat input as the sequence.

    Raises:
        InputError, OptionError: as `sequence.input_spec`.
        UnsupportedError: an extent that stays open.
    """
    check_length(options.length)
    types = [input_type(t, options.length if i == position else None) for i, t in enumerate(function.inputs)]
    return sequence.input_spec([t.name for t in function.inputs], types, position, options, _keys(function))


def input_type(tensor: Any, length: int | None = None) -> TensorType:
    """The type of a model input; `length` fills in an open sequence length.

    Raises:
        UnsupportedError: an extent that stays open.
    """
    return sequence.input_type(tensor.name, tensor.shape[1:], widened(dtype_name(tensor.dtype)), length)


def output_nest(function: Any) -> Any:
    """The nest in which a model returns its outputs, with their numbers in flat order in it."""
    return keras.tree.pack_sequence_as(private.output_structure(function), list(range(len(function.outputs))))


def _keys(function: Any) -> tuple[str, ...] | None:
    """The keys of a model that takes a dict, in flat order."""
    structure = private.input_structure(function)
    if not isinstance(structure, Mapping):
        return None
    nest = keras.tree.pack_sequence_as(structure, list(range(len(function.inputs))))
    return tuple(sorted(nest, key=lambda key: min(keras.tree.flatten(nest[key]))))
