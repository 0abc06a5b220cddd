"""An ONNX model as the compiler takes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto

from fastism_compiler.errors import InputError, UnsupportedError
from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.builder import Builder
from fastism_compiler.frontend.keras.lowering import follow_functions, identifier
from fastism_compiler.frontend.onnx.batch import open_batch
from fastism_compiler.frontend.onnx.graph import lower_graph
from fastism_compiler.frontend.onnx.oracle import has_runtime
from fastism_compiler.frontend.onnx.origin import OnnxOrigin
from fastism_compiler.frontend.onnx.reading import read_proto
from fastism_compiler.frontend.onnx.views import View
from fastism_compiler.frontend.source import ReadOptions, SourceModel
from fastism_compiler.ir import BATCH, Graph, Node, TensorType
from fastism_compiler.mutations.inputs import InputSpec, check_length
from fastism_compiler.mutations.layout import SequenceLayout, find_layout
from fastism_compiler.mutations.letters import vocabularies, vocabulary

_NO_RUNTIME = "ONNX Runtime is not installed: ONNX's own reference judges this program, slowly (extra [onnx])"


def read_source(model: Any, options: ReadOptions) -> SourceModel:
    """The model lowered operator by operator: see `Frontend.read`."""
    proto = open_batch(read_proto(model))
    inputs = input_spec(proto, options)
    graph = Graph(identifier(proto.graph.name or "model"))
    builder = Builder(graph, Bindings())
    follow_functions(builder)
    graph.inputs += [_input(graph, inputs, position) for position in range(len(inputs.names))]
    graph.sequence = graph.inputs[inputs.sequence]
    views = {name: View.of(node) for name, node in zip(inputs.names, graph.inputs, strict=True)}
    if inputs.layout is not None:
        views[inputs.names[inputs.sequence]] = as_taken(graph.sequence, inputs.layout)
    graph.outputs = lower_graph(builder, proto, views)
    inputs = replace(inputs, vocabularies=vocabularies(graph, None))
    if inputs.types[inputs.sequence].rank == 2:
        inputs = replace(inputs, vocabulary=vocabulary(graph))
    names = tuple(output.name for output in proto.graph.output)
    return SourceModel(
        model=proto,
        name=graph.name,
        inputs=inputs,
        nest=0 if len(names) == 1 else list(range(len(names))),
        output_names=names,
        output_dtypes=tuple(dtype_of(output) for output in proto.graph.output),
        origin=OnnxOrigin(proto, inputs),
        graph=graph,
        bindings=builder.bindings,
        notes=tuple(_notes(inputs)),
    )


def input_spec(proto: ModelProto, options: ReadOptions) -> InputSpec:
    """What a model takes.

    Raises:
        InputError: no input of that name or number, or one that is no sequence.
        OptionError: a length that is none, or another than the model's own.
        UnsupportedError: an extent that stays open; half precision.
    """
    weights = {tensor.name for tensor in proto.graph.initializer}
    values = [value for value in proto.graph.input if value.name not in weights]
    names = tuple(value.name for value in values)
    position = _position(names, options.seq_input)
    check_length(options.length)
    types = [_type(v, options.length if i == position else None) for i, v in enumerate(values)]
    sequence = types[position]
    layout = find_layout([sequence.extent(axis) for axis in range(1, sequence.rank)], options.letters)
    if layout is not None:
        types[position] = TensorType((BATCH, *layout.sizes), sequence.dtype)
    if types[position].rank not in (2, 3) or sequence.dtype == "bool":
        raise InputError(
            "the sequence input must be [batch, letters, length], [batch, length, letters], or integer tokens",
            expected="rank 3 or 2, of numbers; a third axis may have one element",
            got=f"input {names[position]!r}: {sequence}",
        )
    check_length(options.length, types[position].extent(1))
    return InputSpec(names, tuple(types), position, None, layout=layout)


def _position(names: tuple[str, ...], seq_input: int | str) -> int:
    if seq_input in names:
        return names.index(str(seq_input))
    if isinstance(seq_input, int) and not isinstance(seq_input, bool) and 0 <= seq_input < len(names):
        return seq_input
    raise InputError(
        "seq_input must name one of the model's inputs",
        expected=f"0 .. {len(names) - 1}, or one of {list(names)}",
        got=repr(seq_input),
    )


def dtype_of(value: ValueInfoProto) -> str:
    """The dtype of an input or output."""
    return str(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)).name)


def _type(value: ValueInfoProto, length: int | None) -> TensorType:
    """The type of an input; an open axis takes `length`."""
    dtype = dtype_of(value)
    if dtype in ("float16", "bfloat16"):
        raise UnsupportedError(
            "half precision rounds away what a mutation changes; export the model in float32",
            got=f"input {value.name!r}: {dtype}",
        )
    sizes = [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim[1:]]
    known = [length if n is None else n for n in sizes]
    if any(n is None for n in known):
        raise UnsupportedError(
            "every extent but the batch must be known",
            expected="length=... where the length of the sequence is open, and no other open axis",
            got=f"input {value.name!r}: {['batch', *('?' if n is None else n for n in sizes)]}",
        )
    return TensorType((BATCH, *known), dtype)


def _input(graph: Graph, inputs: InputSpec, position: int) -> Node:
    name = inputs.names[position]
    attrs = {"index": position, "input": name}
    return graph.add("input", (), attrs, type=inputs.types[position], layer=name, name=identifier(name))


def as_taken(sequence: Node, layout: SequenceLayout) -> View:
    """The sequence `[B, L, C]` in the layout that the model takes."""
    axes = {layout.positions: (1,), layout.letters: (2,)}
    return View(sequence, ((0,), *(axes.get(axis, ()) for axis in range(1, len(layout.shape) + 1))))


def _notes(inputs: InputSpec) -> list[str]:
    """What users should know about this model."""
    notes = ["weights are constants of the program: a model that is trained further has to be compiled again"]
    if inputs.layout is not None:
        notes.append(f"sequences are {inputs.layout}, as the model takes them")
    return notes if has_runtime() else [*notes, _NO_RUNTIME]
