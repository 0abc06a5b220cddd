"""Which input of a model is the sequence, and how its axes are laid out: the same for every framework."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastism_compiler.errors import InputError, UnsupportedError
from fastism_compiler.frontend.builder import Builder
from fastism_compiler.frontend.source import ReadOptions
from fastism_compiler.ir import BATCH, Graph, Node, TensorType
from fastism_compiler.mutations.inputs import InputSpec, check_length
from fastism_compiler.mutations.layout import find_layout
from fastism_compiler.mutations.letters import vocabularies, vocabulary

CONSTANT_WEIGHTS = "weights are constants of the program: a model that is trained further has to be compiled again"
"""Note in the plans of models whose weights are read once (ONNX, SavedModel)."""


def find_input(names: Sequence[str], seq_input: int | str, keys: Sequence[str] = ()) -> int:
    """Position of the mutated input.

    Args:
        names: of the inputs, in order.
        seq_input: a position, a name, or a key.
        keys: of a model that takes a dict, in the same order; with several keys, a position is refused.

    Raises:
        InputError: no input of that name or number.
    """
    if isinstance(seq_input, str):
        for known in (list(keys), list(names)):
            if seq_input in known:
                return known.index(seq_input)
    whole = isinstance(seq_input, int) and not isinstance(seq_input, bool)
    if whole and 0 <= int(seq_input) < len(names) and (not keys or len(names) == 1):
        return int(seq_input)
    expected = f"one of {sorted(keys)}" if keys else f"0 .. {len(names) - 1}, or one of {list(names)}"
    raise InputError("seq_input must name one of the model's inputs", expected=expected, got=repr(seq_input))


def input_type(name: str, shape: Sequence[int | None], dtype: str, length: int | None = None) -> TensorType:
    """The type of a model's input; `length` fills in an open sequence length.

    Args:
        name: of the input.
        shape: without the batch axis.
        dtype: that programs compute in.
        length: of the sequence, if this input is the sequence; fills in the one open axis.

    Raises:
        UnsupportedError: an extent that stays open.
    """
    sizes = list(shape)
    if length is not None and sizes.count(None) == 1:
        sizes[sizes.index(None)] = length
    if None in sizes:
        raise UnsupportedError(
            "every input extent but the batch must be known",
            expected="a fixed shape, or compile(..., length=N) for the sequence",
            got=f"input {name!r} of shape {(None, *shape)}",
        )
    return TensorType((BATCH, *sizes), dtype)


def input_spec(
    names: Sequence[str], types: Sequence[TensorType], position: int, options: ReadOptions, keys: Any = None
) -> InputSpec:
    """What a model takes, with its `position`-th input as the sequence.

    Args:
        names: of the inputs.
        types: of the inputs, as the model takes them.
        position: of the sequence.
        options: `length` and `letters`.
        keys: of a model that takes a dict.

    Raises:
        InputError: a sequence that is neither tokens nor has one axis of positions and one of letters; a boolean one.
        OptionError: an invalid length, or one other than the model's own.
    """
    known, sequence = list(types), types[position]
    layout = find_layout([sequence.extent(axis) for axis in range(1, sequence.rank)], options.letters)
    if layout is not None:
        known[position] = TensorType((BATCH, *layout.sizes), sequence.dtype)
    if known[position].rank not in (2, 3) or sequence.dtype == "bool":
        raise InputError(
            "the sequence input must be [batch, length, letters], or integer tokens [batch, length]",
            expected="rank 3 or 2, of numbers; letters may come first, and a third axis may have one element",
            got=f"input {names[position]!r}: {sequence}",
        )
    check_length(options.length, known[position].extent(1))
    return InputSpec(tuple(names), tuple(known), position, keys, layout=layout)


def with_tokens(inputs: InputSpec, graph: Graph, rows: int | None = None) -> InputSpec:
    """What a model takes, completed with the vocabulary sizes found in its graph.

    Args:
        inputs: of the model.
        graph: the model, lowered.
        rows: of the model's smallest embedding, used where the graph shows none; None: the model has none.
    """
    known = replace(inputs, vocabularies=vocabularies(graph, rows))
    if known.types[known.sequence].rank != 2:
        return known
    return replace(known, vocabulary=vocabulary(graph) or rows)


def layout_notes(inputs: InputSpec, letters: int | None) -> list[str]:
    """Notes on how the axes of the sequence were read: a layout other than `[B, L, C]`, or a guess."""
    if inputs.layout is not None:
        return [f"sequences are {inputs.layout}, as the model takes them"]
    type_ = inputs.types[inputs.sequence]
    if letters is None or type_.rank != 3:
        return []
    length, channels = type_.extent(1), type_.extent(2)
    if length > channels or (channels == letters != length):
        return []
    return [
        f"the sequence was taken for {length} positions of {channels} channels; "
        "if its letters come first, pass alphabet= with as many letters as channels"
    ]


def add_inputs(graph: Graph, inputs: InputSpec) -> None:
    """Add the inputs of a model to its graph, the sequence among them."""
    for position, (name, type_) in enumerate(zip(inputs.names, inputs.types, strict=True)):
        attrs = {"index": position, "input": name}
        graph.inputs.append(graph.add("input", (), attrs, type=type_, layer=name, name=identifier(name)))
    graph.sequence = graph.inputs[inputs.sequence]


def as_taken(builder: Builder, inputs: InputSpec) -> list[Node]:
    """The inputs of a graph, the sequence rearranged from `[B, L, C]` to the model's own layout."""
    nodes, layout = list(builder.graph.inputs), inputs.layout
    if layout is not None:
        sequence = nodes[inputs.sequence]
        builder.layer = sequence.layer
        x = builder.add("transpose", sequence, perm=(0, 2, 1)) if layout.swapped else sequence
        nodes[inputs.sequence] = builder.add("reshape", x, shape=layout.shape) if len(layout.shape) > 2 else x
    return nodes


def identifier(name: str) -> str:
    """A name in letters, digits and underscores."""
    return "".join(c if c.isalnum() or c == "_" else "_" for c in name)
