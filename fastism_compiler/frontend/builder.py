"""Building graphs: what every frontend's lowering rules work with, whatever framework it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.errors import UnsupportedError
from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.ir import Graph, Node, TensorType
from fastism_compiler.ir.types import FLOATS

Rule = Callable[..., Any]
"""`(builder, operation, *args, **kwargs) -> nest of nodes`"""


class Decline(Exception):  # noqa: N818 (a control signal, never seen by users)
    """A lowering rule does not cover this use; the call stays opaque, for this reason."""


class NoRule(Decline):
    """This way of lowering does not apply; nothing is recorded as the reason."""


def _no_rule(operation: Any) -> Rule | None:
    return None


def _not_followed(function: Any, nodes: Any, *, symbols_only: bool = False) -> Any:
    raise Decline("this frontend does not look into functions")


def _not_bound(function: Callable[..., Any]) -> str:
    raise Decline("this frontend binds no functions")


@dataclass(slots=True)
class Builder:
    """Adds nodes on behalf of one call of a layer or operation.

    Attributes:
        graph: the graph that grows.
        bindings: what stands behind its parameters.
        rule_for: the lowering rule of an operation, for rules that delegate to another; None where there is none.
        follow: `(function, nest of nodes) -> nest of nodes`: lowers a function of tensors, or a layer, operation by
            operation; raises Decline. With `symbols_only=True`, only by symbolic Keras tensors, not by TensorFlow.
        bind: `function -> name`: keeps a function of tensors for an op that calls it as it is.
        layer: name of the layer that nodes are added for.
        captured: number of operands that were tensors computed during tracing, now constants.
    """

    graph: Graph
    bindings: Bindings
    rule_for: Callable[[Any], Rule | None] = _no_rule
    follow: Callable[..., Any] = _not_followed
    bind: Callable[[Callable[..., Any]], str] = _not_bound
    layer: str | None = None
    captured: int = 0
    _parameters: dict[int, Node] = field(default_factory=dict)

    def add(self, op: str, *operands: Any, **attrs: Any) -> Node:
        """Append a node; numbers and arrays among the operands become constants."""
        dtype = next((o.type.dtype for o in operands if isinstance(o, Node) and o.type.dtype in FLOATS), "float32")
        nodes = [self.node(o, dtype) for o in operands]
        return self.graph.add(op, nodes, attrs, layer=self.layer, name=self._name(op))

    def node(self, value: Any, dtype: str = "float32") -> Node:
        """A node for a value that may be a node, a variable, an array or a number.

        Python numbers are weakly typed: a float takes `dtype`, that of the
        tensors it meets.
        """
        if isinstance(value, Node):
            return value
        if isinstance(value, bool | int | float | np.number):
            if isinstance(value, bool | int):
                dtype = "bool" if isinstance(value, bool) else "int32"
            return self.graph.add("literal", (), {"value": value, "dtype": dtype}, layer=self.layer)
        return self.parameter(value)

    def parameter(self, variable: Any) -> Node:
        """The node of a variable or a constant array; the same object gives the same node."""
        if id(variable) not in self._parameters:
            shape = tuple(int(n) for n in variable.shape)
            self.captured += is_computed(variable)
            name = str(getattr(variable, "path", None) or f"{self.layer or 'constant'}/value")
            binding = name if name not in self.bindings.parameters else f"{name}.{len(self.bindings.parameters)}"
            self.bindings.parameters[binding] = variable
            node = self.graph.add(
                "parameter",
                (),
                {"binding": binding},
                type=TensorType(shape, widened(dtype_name(variable.dtype))),
                layer=self.layer,
                name=name.rsplit("/", maxsplit=1)[-1],
            )
            self._parameters[id(variable)] = node
        return self._parameters[id(variable)]

    def _name(self, op: str) -> str:
        return f"{self.layer}.{op}" if self.layer else op


def dtype_name(dtype: Any) -> str:
    """A dtype's name, whatever library it comes from."""
    return str(tf.as_dtype(dtype).name)


def widened(dtype: str) -> str:
    """The dtype that values of `dtype` are computed in: float32 at least."""
    return "float32" if dtype in FLOATS[:2] else dtype


def refuse_batch(builder: Builder, what: str) -> UnsupportedError:
    """The error for an operation that makes the score of one sequence depend on the others."""
    return UnsupportedError(
        "an operation across sequences makes the score of one depend on the others",
        expected="operations within each sequence",
        got=f"layer {builder.layer!r}: {what}",
    )


def is_computed(x: Any) -> bool:
    """Whether this is a tensor that was computed while something was traced: no variable, node or array."""
    return tf.is_tensor(x) and not isinstance(x, tf.Variable) and not hasattr(x, "path")


def is_fixed(x: Any) -> bool:
    """Whether this is a number, or an array of them, that nothing changes: no node, variable or tensor."""
    return not (isinstance(x, Node) or tf.is_tensor(x) or hasattr(x, "path"))
