"""Tensors that a traced function computes from its variables alone, computed anew whenever they are read."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.frontend.bindings import Derived


class DerivedWeight(Derived):
    """One result of an operation of variables, constants and other derived weights.

    Args:
        op: the operation of the traced graph.
        operands: variables of Keras or TensorFlow, arrays, derived weights.
        output: which of its results this is.
    """

    def __init__(self, op: Any, operands: Sequence[Any], output: int) -> None:
        self.op, self.operands, self.output = op, tuple(operands), output
        self.shape, self.dtype = tuple(op.outputs[output].shape), op.outputs[output].dtype

    def now(self) -> Any:
        """The tensor, of the variables as they are."""
        results = _run(self.op, [x.now() if isinstance(x, Derived) else tf.convert_to_tensor(x) for x in self.operands])
        return results[self.output]


def is_weight(x: Any) -> bool:
    """Whether this is a variable, or derived from variables."""
    return isinstance(x, Derived | tf.Variable) or (hasattr(x, "path") and hasattr(x, "value"))


def is_fixed(x: Any) -> bool:
    """Whether this is the same for every sequence, and known but for the variables in it."""
    return isinstance(x, np.ndarray) or is_weight(x)


def _run(op: Any, tensors: Sequence[Any]) -> list[Any]:
    """What an operation gives for other tensors, wherever this is called: in eager mode, or in a graph."""
    function = getattr(tf.raw_ops, op.type)
    given: dict[str, Any] = {}
    remaining = list(tensors)
    for argument in op.op_def.input_arg:
        if argument.number_attr or argument.type_list_attr:
            attribute = op.get_attr(argument.number_attr or argument.type_list_attr)
            count = attribute if argument.number_attr else len(attribute)
            given[argument.name], remaining = remaining[:count], remaining[count:]
        else:
            given[argument.name], *remaining = remaining
    names = set(inspect.signature(function).parameters) - set(given) - {"name"}
    result = function(**given, **{name: op.get_attr(name) for name in names})
    return list(result) if isinstance(result, list | tuple) else [result]
