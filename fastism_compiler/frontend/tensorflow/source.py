"""A SavedModel as the compiler takes it."""

from __future__ import annotations

from pathlib import Path

from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.builder import Builder, Decline, dtype_name, widened
from fastism_compiler.frontend.keras.lowering import follow_functions
from fastism_compiler.frontend.keras.tensorflow.graph import lower_tensorflow
from fastism_compiler.frontend.sequence import (
    CONSTANT_WEIGHTS,
    add_inputs,
    as_taken,
    find_input,
    identifier,
    input_spec,
    input_type,
    layout_notes,
    with_tokens,
)
from fastism_compiler.frontend.source import ReadOptions, SourceModel
from fastism_compiler.frontend.tensorflow.frozen import FrozenFunction, read_frozen
from fastism_compiler.frontend.tensorflow.origin import SavedModelOrigin
from fastism_compiler.ir import BATCH, Graph, Node, TensorType
from fastism_compiler.mutations.inputs import InputSpec, check_length


def read_source(model: Path | FrozenFunction, options: ReadOptions) -> SourceModel:
    """The model lowered operation by operation, or whole where one has no rule: see `Frontend.read`."""
    function = model if isinstance(model, FrozenFunction) else read_frozen(model, options.safe_mode)
    inputs = _input_spec(function, options)
    graph = Graph(identifier(function.name))
    builder = Builder(graph, Bindings())
    follow_functions(builder)
    add_inputs(graph, inputs)
    nodes = as_taken(builder, inputs)
    builder.layer = graph.name
    notes = [CONSTANT_WEIGHTS]
    try:
        graph.outputs = lower_tensorflow(builder, function, nodes)
    except Decline as reason:
        graph.outputs = _whole(builder, function, nodes, str(reason))
        notes.append(f"the model runs whole: {reason}")
    graph.prune()
    inputs = with_tokens(inputs, graph)
    names = tuple(function.gives)
    return SourceModel(
        model=function,
        name=graph.name,
        inputs=inputs,
        nest=0 if len(names) == 1 else {name: number for number, name in enumerate(names)},
        output_names=names,
        output_dtypes=tuple(dtype_name(spec.dtype) for spec in function.gives.values()),
        origin=SavedModelOrigin(function, inputs),
        graph=graph,
        bindings=builder.bindings,
        notes=(*notes, *layout_notes(inputs, options.letters)),
        sha256=function.sha256,
    )


def _input_spec(function: FrozenFunction, options: ReadOptions) -> InputSpec:
    """What a serving function takes: tensors by name."""
    names = list(function.takes)
    position = find_input(names, options.seq_input, () if len(names) == 1 else names)
    check_length(options.length)
    types = [
        input_type(name, spec.shape[1:], widened(dtype_name(spec.dtype)), options.length if i == position else None)
        for i, (name, spec) in enumerate(function.takes.items())
    ]
    return input_spec(names, types, position, options, tuple(names) if len(names) > 1 else None)


def _whole(builder: Builder, function: FrozenFunction, nodes: list[Node], reason: str) -> list[Node]:
    """The model as one opaque call."""
    call = builder.bind(function)
    made = []
    for number, (name, spec) in enumerate(function.gives.items()):
        type_ = TensorType((BATCH, *(int(n) for n in spec.shape[1:])), widened(dtype_name(spec.dtype)))
        attrs = {"call": call, "output": number, "what": "SavedModel", "why": reason}
        made.append(builder.graph.add("keras_call", nodes, attrs, type=type_, layer=builder.layer, name=name))
    return made
