"""One operator of an ONNX graph, as the rules see it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastism_compiler.frontend.builder import Builder, Decline, refuse_batch
from fastism_compiler.frontend.counts import Varying
from fastism_compiler.frontend.onnx.views import View, plain, single, together
from fastism_compiler.ir import Node

Value = Any
"""A `View`, a numpy array, `Varying`, or None for an input that is left out."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operator of an ONNX graph.

    Attributes:
        builder: adds nodes.
        kind: name of the operator.
        attributes: as numbers, strings and lists of them.
        operands: views and constants.
        results: number of results, up to the last that has a name.
        opset: version of ONNX's operators.
        one: the model was exported with one sequence.
    """

    builder: Builder
    kind: str
    attributes: Mapping[str, Any]
    operands: Sequence[Value]
    results: int
    opset: int
    one: bool = False

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        return self.attributes.get(name, default)

    def given(self, position: int) -> bool:
        """Whether an optional input is there."""
        return position < len(self.operands) and self.operands[position] is not None

    def view(self, position: int) -> View:
        """An operand that must be computed from the sequence.

        Raises:
            Decline: a constant.
        """
        value = self.operands[position]
        if not isinstance(value, View):
            raise Decline(f"a constant as input {position}")
        return value

    def constant(self, position: int, default: Any = None) -> Any:
        """An operand that must be a constant; `default` where it is left out.

        Raises:
            Decline: it is computed, or depends on the number of sequences.
        """
        if not self.given(position):
            return default
        value = self.operands[position]
        if not isinstance(value, np.ndarray):
            raise Decline(f"input {position} is not known before the model runs")
        return value

    def option(self, name: str, position: int, default: Any = None) -> Any:
        """A number or list that is an attribute in older opsets and a constant input in newer ones."""
        if name in self.attributes:
            return self.attributes[name]
        value = self.constant(position)
        return default if value is None else value.tolist()

    def axis(self, axis: int, view: View | None = None) -> int:
        """An axis counted from the front."""
        return int(axis) % (view or self.view(0)).rank

    def along(self, axis: int, position: int = 0) -> tuple[View, int, int]:
        """An operand for a rule that works along one axis: the view, the axis of the tensor, and that of the node.

        Raises:
            UnsupportedError: the axis of the sequences.
        """
        view = self.view(position)
        axis = self.axis(axis, view)
        if 0 in view.axes[axis]:
            raise refuse_batch(self.builder, f"ONNX's {self.kind}")
        made, inner = single(self.builder, view, axis)
        return made, axis, inner

    def plain(self, position: int = 0) -> Node:
        """An operand as a node with the tensor's own axes."""
        return plain(self.builder, self.view(position))

    def elementwise(self, function: Callable[..., Node], *operands: Value) -> View:
        """The result of a function of nodes and constants, element by element."""
        spread = [self._once(x) for x in operands]
        laid = together(self.builder, spread)
        return laid.view(function(*laid.operands))

    def add(self, op: str, *operands: Value, **attrs: Any) -> View:
        """The result of an element-wise op of the graph."""
        return self.elementwise(lambda *nodes: self.builder.add(op, *nodes, **attrs), *operands)

    def by_keras(self, function: Callable[..., Any], *operands: Value) -> View:
        """The result of an element-wise function of `keras.ops`, whose rule makes the nodes."""

        def run(*given: Any) -> Any:
            dtype = next(x.type.dtype for x in given if isinstance(x, Node))
            # Keras rounds a float of Python to float32
            return self.follow(function, *(np.asarray(x, dtype) if isinstance(x, float) else x for x in given))

        return self.elementwise(run, *operands)

    def follow(self, function: Callable[..., Any], *operands: Any) -> Any:
        """Apply a function made of `keras.ops` to nodes and constants; the rules of these operations add the nodes."""
        places = [i for i, x in enumerate(operands) if isinstance(x, Node)]

        def with_constants(tensors: Any) -> Any:
            given = list(operands)
            for place, tensor in zip(places, tensors, strict=True):
                given[place] = tensor
            return function(*given)

        return self.builder.follow(with_constants, [operands[i] for i in places], symbols_only=True)

    @staticmethod
    def _once(x: Value) -> Any:
        if not isinstance(x, Varying):
            return x
        if x.once is None:
            raise Decline("a constant operand depends on the number of sequences")
        return x.once


Rule = Callable[[Call], Any]
"""The results of an operator: one value, or a list."""
