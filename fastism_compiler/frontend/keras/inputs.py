"""What a Keras model takes and returns: names, types, nests, and which input is the sequence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from fastism_compiler.errors import InputError, UnsupportedError
from fastism_compiler.frontend.builder import dtype_name, widened
from fastism_compiler.frontend.keras import private
from fastism_compiler.ir import BATCH, TensorType
from fastism_compiler.mutations.inputs import InputSpec, check_length
from fastism_compiler.mutations.layout import find_layout


def find_sequence(function: Any, seq_input: int | str) -> int:
    """Position of the mutated input among the flat inputs of a functional graph.

    Raises:
        InputError: no input of that name or number.
    """
    keys = _keys(function) or ()
    names = [t.name for t in function.inputs]
    if isinstance(seq_input, str):
        for known in (list(keys), names):
            if seq_input in known:
                return known.index(seq_input)
    elif isinstance(seq_input, int) and 0 <= seq_input < len(names) and (not keys or len(names) == 1):
        return seq_input
    expected = f"one of {sorted(keys)}" if keys else f"0 .. {len(names) - 1}, or one of {names}"
    raise InputError("seq_input must name one of the model's inputs", expected=expected, got=repr(seq_input))


def input_spec(function: Any, position: int, length: int | None = None, letters: int | None = None) -> InputSpec:
    """What a functional graph takes, with its `position`-th flat input as the sequence.

    Args:
        function: the graph.
        position: of the sequence among its inputs.
        length: sequence length where the model leaves it open.
        letters: of the alphabet; see `find_layout`.

    Raises:
        InputError: a sequence that is neither tokens nor has one axis of positions and one of letters, or of booleans.
        OptionError: a length that is none, or another than the model's own.
        UnsupportedError: an extent that stays open.
    """
    names = tuple(t.name for t in function.inputs)
    check_length(length)
    types = [input_type(t, length if i == position else None) for i, t in enumerate(function.inputs)]
    sequence = types[position]
    layout = find_layout([sequence.extent(axis) for axis in range(1, sequence.rank)], letters)
    if layout is not None:
        types[position] = TensorType((BATCH, *layout.sizes), sequence.dtype)
    if types[position].rank not in (2, 3) or sequence.dtype == "bool":
        raise InputError(
            "the sequence input must be [batch, length, letters], or integer tokens [batch, length]",
            expected="rank 3 or 2, of numbers; letters may come first, and a third axis may have one element",
            got=f"input {names[position]!r}: {sequence}",
        )
    check_length(length, types[position].extent(1))
    return InputSpec(names, tuple(types), position, _keys(function), layout=layout)


def input_type(tensor: Any, length: int | None = None) -> TensorType:
    """The type of a model input; `length` fills in an open sequence length.

    Raises:
        UnsupportedError: an extent that stays open.
    """
    shape = [BATCH, *tensor.shape[1:]]
    if length is not None and shape[1:].count(None) == 1:
        shape[1 + shape[1:].index(None)] = length
    if any(n is None for n in shape[1:]):
        raise UnsupportedError(
            "every input extent but the batch must be known",
            expected="a fixed shape, or compile(..., length=N) for the sequence",
            got=f"input {tensor.name!r} of shape {tuple(tensor.shape)}",
        )
    return TensorType(tuple(shape), widened(dtype_name(tensor.dtype)))


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
