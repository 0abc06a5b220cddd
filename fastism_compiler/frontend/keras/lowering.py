"""Lower a Keras model into an `ir.Graph`, call by call."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from fastism_compiler.errors import UnsupportedError, first_line
from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.builder import Builder, Decline, NoRule, dtype_name, is_computed, widened
from fastism_compiler.frontend.keras import private
from fastism_compiler.frontend.keras.registry import declaration_for
from fastism_compiler.frontend.keras.rules import rule_for
from fastism_compiler.frontend.keras.tensorflow.graph import lower_tensorflow
from fastism_compiler.frontend.keras.variables import VariablesRead
from fastism_compiler.frontend.sequence import add_inputs, as_taken, identifier
from fastism_compiler.ir import BATCH, Graph, Node, TensorType
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.queries import rule_of
from fastism_compiler.ir.types import FLOATS
from fastism_compiler.mutations.inputs import InputSpec


def refuse_training(layer: str) -> UnsupportedError:
    """The error for a layer that is called with `training=True` inside the model."""
    return UnsupportedError(
        "a layer in training mode is random, or depends on the other sequences of its batch",
        expected="training=False, or left out",
        got=f"layer {layer!r} called with training=True",
    )


@dataclass(slots=True)
class Lowered:
    """A model as a graph, and what its names stand for."""

    graph: Graph
    bindings: Bindings
    function: Any
    declined: dict[str, str]
    """Layer name -> why it stayed opaque."""
    frozen: list[str]
    """Layers with values that were computed from their weights when they were traced."""


def lower(model: Any, inputs: InputSpec, function: Any) -> Lowered:
    """Lower a model.

    Args:
        model: a Keras 3 model.
        inputs: what it takes, and which of it is the sequence.
        function: its functional graph.

    Raises:
        UnsupportedError: a construct that cannot be compiled, by name.
    """
    graph = Graph(identifier(model.name))
    builder = Builder(graph, Bindings(), rule_for)
    lowering = _Lowering(builder)
    add_inputs(graph, inputs)
    nodes = as_taken(builder, inputs)
    if private.masks_go_astray(model, function):
        graph.outputs = lowering.whole(model, function, nodes)
    else:
        graph.outputs = lowering.function(function, nodes, prefix="")
    if private.function_of(model) is None:
        lowering.note_frozen(model, 0, model.name)
    return Lowered(graph, builder.bindings, function, lowering.declined, lowering.frozen)


def lower_onto(graph: Graph, bindings: Bindings, function: Any, nodes: Sequence[Node], prefix: str) -> list[Node]:
    """Append a functional graph, applied to `nodes`, to a lowered model; its flat outputs."""
    return _Lowering(Builder(graph, bindings, rule_for)).function(function, nodes, prefix)


def follow_functions(builder: Builder) -> None:
    """Let a builder follow functions that are made of `keras.ops`, by the rules of these."""
    builder.rule_for = rule_for
    _Lowering(builder)


_IGNORE_MASKS = (keras.layers.BatchNormalization,)
"""Layers that take a mask and have no use for it in inference."""


class _Lowering:
    """Walks functional graphs, nested ones included."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self.declined: dict[str, str] = {}
        self.frozen: list[str] = []
        self._call_count = 0
        builder.follow, builder.bind = self.follow, self.bind

    def function(self, function: Any, inputs: Sequence[Node], prefix: str) -> list[Node]:
        """Lower one functional graph applied to `inputs`; flat outputs."""
        values: dict[int, Any] = {id(t): self._as(t, n) for t, n in zip(function.inputs, inputs, strict=True)}
        for call in private.calls(function):
            args, kwargs = keras.tree.map_structure(
                lambda x: values[id(x)] if isinstance(x, keras.KerasTensor) else x, (call.args, call.kwargs)
            )
            results = self.call(call.operation, args, kwargs, prefix)
            values.update({id(t): n for t, n in zip(call.outputs, results, strict=True)})
        return [values[id(t)] for t in function.outputs]

    def _as(self, tensor: Any, x: Node) -> Node:
        """Cast to the dtype of a model's input, as Keras does."""
        dtype = widened(dtype_name(tensor.dtype))
        return x if x.type.dtype == dtype else self.builder.add("cast", x, dtype=dtype)

    def whole(self, model: Any, function: Any, inputs: Sequence[Node]) -> list[Node]:
        """The model as one opaque call."""
        self.builder.layer = model.name
        self.declined[model.name] = "masks travel between its layers unrecorded"
        nest = keras.tree.pack_sequence_as(private.input_structure(function), list(inputs))
        return self._opaque(model, (nest,), {})

    def call(self, operation: Any, args: Sequence[Any], kwargs: dict[str, Any], prefix: str) -> list[Node]:
        """Lower one call; flat results."""
        name = prefix + operation.name
        self.builder.layer = name
        self._refuse(operation, kwargs)
        kwargs = private.given(operation, kwargs)
        if isinstance(operation, _IGNORE_MASKS):
            kwargs.pop("mask", None)
        inner = private.function_of(operation)
        if inner is not None and not kwargs:
            nested = self.function(inner, keras.tree.flatten(args[0]), prefix=f"{name}/")
            self.builder.layer = name
            return nested
        args, kwargs = keras.tree.map_structure(lambda x: self._autocast(operation, x), (tuple(args), kwargs))
        for attempt in (self._registered, self._by_rule, self._decomposed):
            try:
                return list(keras.tree.flatten(attempt(operation, args, kwargs)))
            except NoRule:
                pass
            except Decline as reason:
                self.declined.setdefault(name, str(reason))
            except IRError as error:
                self.declined.setdefault(name, error.rule)
            self.builder.layer = name
        return self._opaque(operation, args, kwargs)

    def _registered(self, operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """A rule that the user declared for this class of layers."""
        declared = declaration_for(operation)
        if declared is None:
            raise NoRule
        if declared.kind in ("stop", "aggregation"):
            return self._opaque(operation, args, kwargs)
        if len(args) != 1 or kwargs or not isinstance(args[0], Node):
            raise Decline("a registered local layer takes one tensor")
        field = declared.field_of(operation)
        (spec,) = keras.tree.flatten(operation.compute_output_spec(_symbol(args[0])))
        attrs = {
            "call": self._bind(operation, args, kwargs),
            "what": type(operation).__name__,
            "linear": declared.linear,
            "shape": _fixed(spec.shape[1:], operation.name),
            "dtype": widened(dtype_name(spec.dtype)),
            **field.attributes(args[0].type.extent(1)),
        }
        return self.builder.add("custom_local", args[0], **attrs)

    def follow(self, function: Any, nodes: Any, *, symbols_only: bool = False) -> Any:
        """A function of tensors, or a layer, as the operations it is made of.

        Raises:
            Decline: neither symbolic Keras tensors nor a TensorFlow graph can follow it.
        """
        name = self.builder.layer
        if isinstance(function, keras.layers.Layer):
            results: Any = self.call(function, [nodes], {}, prefix=f"{name}/")
        else:
            symbols = keras.tree.map_structure(_symbol, nodes)
            what = f"the function {getattr(function, '__name__', type(function).__name__)}"
            captured = self.builder.captured
            try:
                with VariablesRead() as read:
                    results = function(symbols)
                traced = private.function_between(keras.tree.flatten(symbols), results)
            except Exception as error:  # whatever a user's function raises on symbolic tensors
                if symbols_only:
                    raise Decline(f"{what} cannot be followed: {_first_line(error)}") from error

                return self._through_tensorflow(self._packed(function, nodes), keras.tree.flatten(nodes), what, error)
            flat = self.function(traced, keras.tree.flatten(nodes), prefix=f"{name}/")
            if read.any and self.builder.captured > captured:
                # values computed from variables would be frozen; TensorFlow's graph says how they are computed
                early = Decline(f"{what} computes with a variable before it meets a tensor")
                if symbols_only:
                    raise early
                return self._through_tensorflow(self._packed(function, nodes), keras.tree.flatten(nodes), what, early)
            results = keras.tree.pack_sequence_as(private.output_structure(traced), flat)
        self.builder.layer = name
        return results[0] if isinstance(results, list) and len(results) == 1 else results

    @staticmethod
    def _packed(function: Any, nodes: Any) -> Callable[..., Any]:
        """The function of a nest as one of its flat tensors."""
        return lambda *tensors: function(keras.tree.pack_sequence_as(nodes, tensors))

    def _through_tensorflow(
        self,
        function: Callable[..., Any],
        nodes: Sequence[Node],
        what: str,
        symbolic: Exception,
        variables: Sequence[Any] = (),
    ) -> Any:
        """A function of tensors that symbolic Keras tensors cannot follow, as the TensorFlow operations it is made of.

        Raises:
            Decline: TensorFlow's graph cannot be lowered either.
        """
        name = self.builder.layer
        try:
            results = lower_tensorflow(self.builder, function, nodes, variables)
        except Decline as reason:
            raise Decline(f"{what} cannot be followed: {reason}") from symbolic
        finally:
            self.builder.layer = name
        return results[0] if len(results) == 1 else results

    def bind(self, function: Callable[..., Any]) -> str:
        """Keep a function of tensors under a name."""
        return self._keep(lambda tensors: list(keras.tree.flatten(function(*tensors))))

    def _keep(self, run: Callable[[list[Any]], list[Any]]) -> str:
        """Keep a call under a name: operand tensors in, flat results out."""
        self._call_count += 1
        key = f"{self.builder.layer}#{self._call_count}"
        self.builder.bindings.calls[key] = run
        return key

    def _decomposed(self, operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """A layer without a rule of its own as the known ops its `call` is made of.

        A layer of Keras's own stays whole if any of these ops has no window rule.
        """
        if not isinstance(operation, keras.layers.Layer) or kwargs.get("mask") is not None:
            raise NoRule
        symbols = keras.tree.map_structure(lambda x: _symbol(x) if isinstance(x, Node) else x, (tuple(args), kwargs))
        training = {"training": False} if private.takes_training(operation) else {}
        try:
            with VariablesRead() as read:
                function = private.trace(operation, symbols[0], {**symbols[1], **training})
        except Exception as error:
            return self._call_through_tensorflow(operation, args, kwargs, error)
        nodes = [x for x in keras.tree.flatten((tuple(args), kwargs)) if isinstance(x, Node)]
        name, captured, before = str(self.builder.layer), self.builder.captured, len(self.builder.graph)
        try:
            results = self.function(function, nodes, prefix=f"{name}/")
        except UnsupportedError as error:
            if private.is_custom(operation):
                raise
            raise NoRule from error  # it runs whole
        made = self.builder.graph.nodes()[before:]
        if not private.is_custom(operation) and any(rule_of(n).layer_class is LayerClass.STOP for n in made):
            raise NoRule
        if read.any and self.builder.captured > captured:
            # values computed from variables would be frozen; TensorFlow's graph says how they are computed
            early = Decline(f"{type(operation).__name__}.call computes with a variable before it meets a tensor")
            try:
                return self._call_through_tensorflow(operation, args, kwargs, early)
            except Decline:
                if not (private.is_custom(operation) and operation.weights):
                    raise
            self.builder.layer = name
        self.note_frozen(operation, captured, name)
        return results

    def _call_through_tensorflow(
        self, operation: Any, args: Sequence[Any], kwargs: dict[str, Any], symbolic: Exception
    ) -> Any:
        """A layer's `call` as the TensorFlow operations it is made of.

        Raises:
            Decline: an operation without a rule.
        """
        pack = _packing(args, kwargs)
        training = {"training": False} if private.takes_training(operation) else {}
        nodes = [x for x in keras.tree.flatten((tuple(args), kwargs)) if isinstance(x, Node)]

        def call(*tensors: Any) -> Any:
            given, named = pack(tensors)
            return operation.call(*given, **named, **training)

        what = f"{type(operation).__name__}.call"
        return self._through_tensorflow(call, nodes, what, symbolic, operation.variables)

    def note_frozen(self, layer: Any, captured: int, name: str) -> None:
        """Record a traced layer that computed values which are now constants: they may come from its weights."""
        if self.builder.captured > captured and layer.weights:
            self.frozen.append(name)

    def _autocast(self, operation: Any, x: Any) -> Any:
        """Keras casts a layer's floating inputs to its compute dtype."""
        if not isinstance(x, Node) or not isinstance(operation, keras.layers.Layer) or not operation.autocast:
            return x
        dtype = widened(str(operation.compute_dtype))
        return self.builder.add("cast", x, dtype=dtype) if x.type.dtype in FLOATS and x.type.dtype != dtype else x

    def _by_rule(self, operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        rule = self.builder.rule_for(operation)
        if rule is None:
            raise NoRule
        if kwargs.get("mask") is not None:
            raise Decline("a mask is given")
        if not any(isinstance(x, Node) for x in keras.tree.flatten((args, kwargs))):
            raise Decline("no tensor argument")
        signature = inspect.signature(rule)
        try:
            given = signature.bind(self.builder, operation, *args, **kwargs).arguments
        except TypeError as error:
            raise Decline(f"a call with more arguments than the rule covers: {error}") from error
        for name, value in given.items():
            if signature.parameters[name].annotation == "Node" and not isinstance(value, Node):
                raise Decline("a variable or a number in the place of a tensor")
        return rule(self.builder, operation, *args, **kwargs)

    def _opaque(self, operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Node]:
        """Keep the operation; it runs as it is, on whole values."""
        nodes = [x for x in keras.tree.flatten((tuple(args), kwargs)) if isinstance(x, Node)]
        symbols = keras.tree.map_structure(lambda x: _symbol(x) if isinstance(x, Node) else x, (tuple(args), kwargs))
        training = {"training": False} if private.takes_training(operation) else {}
        spec = private.output_spec(operation, symbols[0], {**symbols[1], **training})
        key = self._bind(operation, args, kwargs)
        what = type(operation).__name__
        reason = self.declined.get(str(self.builder.layer))
        why = {} if reason is None else {"why": reason}
        return [
            self.builder.graph.add(
                "keras_call",
                nodes,
                {"call": key, "output": i, "what": what, **why},
                type=TensorType((BATCH, *_fixed(t.shape[1:], what)), widened(dtype_name(t.dtype))),
                layer=self.builder.layer,
                name=f"{self.builder.layer}.call",
            )
            for i, t in enumerate(keras.tree.flatten(spec))
        ]

    def _bind(self, operation: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> str:
        """Keep a call of the operation under a name: operand tensors in, flat results out."""
        pack = _packing(args, kwargs)
        training = {"training": False} if private.takes_training(operation) else {}

        def run(tensors: list[Any]) -> list[Any]:
            call_args, call_kwargs = pack(tensors)
            return list(keras.tree.flatten(operation(*call_args, **call_kwargs, **training)))

        self.builder.captured += sum(is_computed(x) for x in keras.tree.flatten((tuple(args), kwargs)))
        return self._keep(run)

    @staticmethod
    def _refuse(operation: Any, kwargs: dict[str, Any]) -> None:
        if kwargs.get("training") is True:
            raise refuse_training(operation.name)
        if isinstance(operation, keras.layers.RNN | keras.layers.Bidirectional) and operation.stateful:
            raise UnsupportedError(
                "a stateful recurrent layer gives results that depend on what ran before",
                expected="stateful=False",
                got=f"layer {operation.name!r} with stateful=True",
            )


def _packing(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Callable[[Sequence[Any]], Any]:
    """`tensors -> (args, kwargs)` with a tensor in the place of every node."""
    structure = (tuple(args), dict(kwargs))
    flat = keras.tree.flatten(structure)

    def pack(tensors: Sequence[Any]) -> Any:
        remaining = iter(tensors)
        given = [next(remaining) if isinstance(x, Node) else x for x in flat]
        return keras.tree.pack_sequence_as(structure, given)

    return pack


def _first_line(error: Exception) -> str:
    kind, line = type(error).__name__, first_line(error, 160)
    return kind if line == kind else f"{kind}: {line}"


def _symbol(node: Node) -> Any:
    return keras.KerasTensor(node.type.shape, dtype=node.type.dtype)


def _fixed(shape: Sequence[int | None], what: str) -> tuple[int, ...]:
    if any(n is None for n in shape):
        raise UnsupportedError("every extent but the batch must be known", got=f"{what} with output shape {shape}")
    return tuple(int(n) for n in shape if n is not None)
