"""An ONNX model as the compiler takes it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, ValueInfoProto

from fastism_compiler.errors import UnsupportedError
from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.builder import Builder
from fastism_compiler.frontend.keras.lowering import follow_functions
from fastism_compiler.frontend.onnx.batch import open_batch
from fastism_compiler.frontend.onnx.graph import lower_graph
from fastism_compiler.frontend.onnx.oracle import has_runtime
from fastism_compiler.frontend.onnx.origin import OnnxOrigin
from fastism_compiler.frontend.onnx.reading import read_proto
from fastism_compiler.frontend.onnx.views import View
from fastism_compiler.frontend.sequence import (
    CONSTANT_WEIGHTS,
    add_inputs,
    find_input,
    identifier,
    input_spec,
    input_type,
    layout_notes,
    with_tokens,
)
from fastism_compiler.frontend.source import ReadOptions, SourceModel
from fastism_compiler.ir import Graph, Node, TensorType
from fastism_compiler.ir.types import FLOATS
from fastism_compiler.mutations.inputs import InputSpec, check_length
from fastism_compiler.mutations.layout import SequenceLayout

_NO_RUNTIME = "ONNX Runtime (extra [onnx]) is not installed: ONNX's slow reference evaluator verifies this program"


def read_source(model: Any, options: ReadOptions) -> SourceModel:
    """The model lowered operator by operator: see `Frontend.read`."""
    given = read_proto(model)
    proto, one = open_batch(given)
    inputs = _input_spec(proto, options)
    graph = Graph(identifier(proto.graph.name or "model"))
    builder = Builder(graph, Bindings())
    follow_functions(builder)
    add_inputs(graph, inputs)
    views = {name: View.of(node) for name, node in zip(inputs.names, graph.inputs, strict=True)}
    if inputs.layout is not None:
        views[inputs.names[inputs.sequence]] = _as_taken(graph.inputs[inputs.sequence], inputs.layout)
    graph.outputs = lower_graph(builder, proto, views, one)
    inputs = with_tokens(inputs, graph)
    names = tuple(output.name for output in proto.graph.output)
    return SourceModel(
        model=given,
        name=graph.name,
        inputs=inputs,
        nest=0 if len(names) == 1 else list(range(len(names))),
        output_names=names,
        output_dtypes=tuple(dtype_of(output) for output in proto.graph.output),
        origin=OnnxOrigin(proto, inputs),
        graph=graph,
        bindings=builder.bindings,
        notes=tuple(_notes(inputs, options.letters)),
        sha256=hashlib.sha256(proto.SerializeToString(deterministic=True)).hexdigest(),
    )


def _input_spec(proto: ModelProto, options: ReadOptions) -> InputSpec:
    """What a model takes.

    Raises:
        InputError, OptionError: as `sequence.input_spec`.
        UnsupportedError: an extent that stays open; half precision.
    """
    weights = {tensor.name for tensor in proto.graph.initializer}
    values = [value for value in proto.graph.input if value.name not in weights]
    names = [value.name for value in values]
    position = find_input(names, options.seq_input)
    check_length(options.length)
    types = [_type(v, options.length if i == position else None) for i, v in enumerate(values)]
    return input_spec(names, types, position, options)


def dtype_of(value: ValueInfoProto) -> str:
    """The dtype of an input or output."""
    return str(np.dtype(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)).name)


def _type(value: ValueInfoProto, length: int | None) -> TensorType:
    """The type of an input; an open axis takes `length`."""
    dtype = dtype_of(value)
    if dtype in FLOATS[:2]:
        raise UnsupportedError(
            "half precision rounds away what a mutation changes; export the model in float32",
            got=f"input {value.name!r}: {dtype}",
        )
    sizes = [d.dim_value if d.HasField("dim_value") else None for d in value.type.tensor_type.shape.dim[1:]]
    return input_type(value.name, sizes, dtype, length)


def _as_taken(sequence: Node, layout: SequenceLayout) -> View:
    """The sequence `[B, L, C]` in the layout that the model takes."""
    axes = {layout.positions: (1,), layout.letters: (2,)}
    return View(sequence, ((0,), *(axes.get(axis, ()) for axis in range(1, len(layout.shape) + 1))))


def _notes(inputs: InputSpec, letters: int | None) -> list[str]:
    """What users should know about this model."""
    notes = [CONSTANT_WEIGHTS, *layout_notes(inputs, letters)]
    return notes if has_runtime() else [*notes, _NO_RUNTIME]
