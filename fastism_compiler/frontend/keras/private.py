"""Reads Keras's private structures (a contract test watches them).

Keras 3 records a functional model as nodes (one call of an operation each);
their arguments, inputs and outputs are private but stable since 3.0.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras.src.models.functional import Functional

_GRAPH_CALLS = (keras.Function.call, keras.Sequential.call, Functional.call)
"""What runs a model's graph and nothing else."""


@dataclass(frozen=True, slots=True)
class KerasNode:
    """One call of one operation inside a functional model."""

    operation: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: list[Any]


def function_of(model: Any) -> Any | None:
    """The functional graph behind a model, or None where its `call` is its own (a subclassed model)."""
    if getattr(type(model), "call", None) not in _GRAPH_CALLS:
        return None
    if isinstance(model, keras.Sequential):
        return getattr(model, "_functional", None)
    return model if isinstance(model, keras.Function) and hasattr(model, "_nodes_by_depth") else None


def calls(function: Any) -> Iterator[KerasNode]:
    """The calls of a functional graph in the order they run, inputs left out."""
    by_depth = function._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        for node in by_depth[depth]:
            if node.is_input:
                continue
            arguments = node.arguments
            yield KerasNode(node.operation, tuple(arguments.args), dict(arguments.kwargs), list(node.outputs))


def function_between(inputs: Sequence[Any], outputs: Any) -> Any:
    """A functional graph from symbolic inputs to what was computed from them; an input may be an output as it is.

    Raises:
        Exception: outputs that are no symbolic tensors, or do not depend on the inputs.
    """
    given = {id(x) for x in inputs}
    outputs = keras.tree.map_structure(lambda y: keras.ops.copy(y) if id(y) in given else y, outputs)
    return keras.Function(list(inputs) if len(inputs) > 1 else inputs[0], outputs)


def trace(layer: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """A functional graph of what `layer.call` does to symbolic tensors.

    The calls that tracing records on the layer's own sublayers are taken
    back, so that the user's model stays as it was.

    Raises:
        Exception: whatever a `call` raises that cannot run on symbolic tensors.
    """
    sublayers = layer._flatten_layers()
    recorded = [(s, len(s._inbound_nodes), len(s._outbound_nodes)) for s in sublayers]
    try:
        outputs = layer.call(*args, **kwargs)
        inputs = [x for x in keras.tree.flatten((tuple(args), kwargs)) if isinstance(x, keras.KerasTensor)]
        return function_between(inputs, outputs)
    finally:
        for sublayer, inbound, outbound in recorded:
            del sublayer._inbound_nodes[inbound:]
            del sublayer._outbound_nodes[outbound:]


@dataclass(frozen=True, slots=True)
class AttentionParts:
    """The projections of a multi-head attention layer."""

    query: Any
    key: Any
    value: Any
    output: Any


def attention_parts(layer: Any) -> AttentionParts | None:
    """The projections of plain attention over positions; None for its variants (gates, sliding windows, other axes)."""
    plain = getattr(layer, "_attention_axes", None) in (None, (1,), [1])
    plain = plain and not getattr(layer, "_use_gate", False) and getattr(layer, "_sliding_window", None) is None
    if not plain:
        return None
    return AttentionParts(layer._query_dense, layer._key_dense, layer._value_dense, layer._output_dense)


def wrap(layer: Any, symbol: Any) -> Any:
    """A functional graph of one node: `layer` called as a whole.

    Raises:
        Exception: whatever a `call` raises that TensorFlow cannot trace either.
    """
    recorded = len(layer._inbound_nodes), len(layer._outbound_nodes)
    try:
        return keras.Function(symbol, layer(symbol))
    finally:
        del layer._inbound_nodes[recorded[0] :], layer._outbound_nodes[recorded[1] :]


def masks_go_astray(model: Any, function: Any) -> bool:
    """Whether a Keras mask may reach a layer without being among the recorded arguments of its call.

    Masks travel as an attribute of tensors, from layer to layer, while a
    model runs. The recorded call has the mask only where Keras filled in the
    argument itself; never in attention, nested models and custom layers.
    """
    if not any(_makes_masks(layer) for layer in model._flatten_layers()):
        return False
    for call in calls(function):
        inner = function_of(call.operation)
        parts = call.operation._flatten_layers() if isinstance(call.operation, keras.layers.Layer) else []
        if (inner is not None or is_custom(call.operation)) and any(_makes_masks(layer) for layer in parts):
            return True
        tensors = [t for t in keras.tree.flatten((call.args, call.kwargs)) if isinstance(t, keras.KerasTensor)]
        masked = any(getattr(t, "_keras_mask", None) is not None for t in tensors)
        if masked and _reads_masks(call.operation) and not _has_its_mask(call):
            return True
    return False


def _makes_masks(layer: Any) -> bool:
    if isinstance(layer, keras.layers.Embedding):
        return bool(layer.mask_zero)
    own = type(layer).compute_mask is not keras.layers.Layer.compute_mask
    return isinstance(layer, keras.layers.Masking) or (own and is_custom(layer))


def _reads_masks(operation: Any) -> bool:
    if not isinstance(operation, keras.layers.Layer) or isinstance(operation, keras.layers.BatchNormalization):
        return False  # batch normalisation has no use for its mask in inference
    takes_one = any("mask" in name for name in inspect.signature(operation.call).parameters)
    return takes_one or is_custom(operation) or function_of(operation) is not None


def _has_its_mask(call: KerasNode) -> bool:
    several = (keras.layers.MultiHeadAttention, keras.layers.Attention, keras.layers.AdditiveAttention)
    return call.kwargs.get("mask") is not None and not isinstance(call.operation, several)


def layers_of(model: Any) -> list[Any]:
    """Every layer inside a model, those of nested layers and models too."""
    return list(model._flatten_layers(include_self=False))


def embedding_rows(model: Any) -> int | None:
    """Rows of the smallest embedding in a model; None if it has none."""
    embeddings = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Embedding)]
    return min((int(layer.input_dim) for layer in embeddings), default=None)


def built_symbol(model: Any) -> Any | None:
    """A symbolic tensor like the input that a subclassed model was built with; None if not built, or on several."""
    inputs: Sequence[Any] = getattr(model, "inputs", None) or []
    if len(inputs) == 1:  # a functional model that overrides `call`
        return keras.KerasTensor(inputs[0].shape, dtype=inputs[0].dtype)
    shape = _built_shape(model)
    return None if shape is None else keras.KerasTensor((None, *shape[1:]), dtype=str(model.compute_dtype))


def _built_shape(model: Any) -> tuple[int | None, ...] | None:
    shapes = getattr(model, "_build_shapes_dict", None) or {}
    if len(shapes) != 1:
        return None
    (shape,) = shapes.values()
    plain = isinstance(shape, tuple | list) and all(n is None or isinstance(n, int) for n in shape)
    return tuple(shape) if plain else None


def producer(tensor: Any) -> Any:
    """The operation that made a symbolic tensor."""
    return tensor._keras_history.operation


def output_names(function: Any) -> list[str]:
    """Names of the outputs: their layers' where the graph knows them."""
    return list(getattr(function, "output_names", None) or [t.name for t in function.outputs])


def layer_names(operation: Any) -> tuple[str, str]:
    """The qualified and the plain name of an operation's class."""
    kind = type(operation)
    return f"{kind.__module__}.{kind.__qualname__}", kind.__name__


def is_custom(operation: Any) -> bool:
    """Whether this layer was written outside Keras."""
    return isinstance(operation, keras.layers.Layer) and not type(operation).__module__.startswith("keras.")


def input_structure(function: Any) -> Any:
    """The nest (tensor, list or dict) in which the model takes its inputs."""
    return function._inputs_struct


def output_structure(function: Any) -> Any:
    """The nest in which the model returns its outputs."""
    return function._outputs_struct


def given(operation: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments that the operation's call requires, or that differ from its defaults; never `training`."""
    defaults = {k: p.default for k, p in inspect.signature(operation.call).parameters.items()}
    needed = {k for k, default in defaults.items() if default is inspect.Parameter.empty}
    said = {k for k, v in kwargs.items() if v is not None and v is not defaults.get(k)}
    return {k: v for k, v in kwargs.items() if k != "training" and k in needed | said}


def output_spec(operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Symbolic results of a call; None for arguments that only `compute_output_spec` requires."""
    parameters = inspect.signature(operation.compute_output_spec).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD][len(args) :]
    return operation.compute_output_spec(*args, **{**dict.fromkeys(needed), **kwargs})


def takes_training(operation: Any) -> bool:
    """Whether the operation's call has a `training` argument."""
    if not isinstance(operation, keras.layers.Layer):
        return False
    known = getattr(operation, "_call_has_training_arg", None)
    return known if known is not None else "training" in inspect.signature(operation.call).parameters


def is_keras_operation(operation: Any) -> bool:
    """Whether this is one of Keras's own `keras.ops` operations."""
    return type(operation).__module__.startswith("keras.src.ops.")


def static_attributes(operation: Any) -> dict[str, Any]:
    """The arguments a `keras.ops` operation was made with."""
    return {k: v for k, v in vars(operation).items() if not k.startswith("_") and k not in ("name", "built")}
