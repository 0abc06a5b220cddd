"""Tensors that a traced function computes from its variables alone, computed anew whenever they are read."""

from __future__ import annotations

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
        """The tensor, computed from the current values of the variables."""
        results = _run(self.op, [x.now() if isinstance(x, Derived) else tf.convert_to_tensor(x) for x in self.operands])
        return results[self.output]


def is_weight(x: Any) -> bool:
    """Whether this is a variable, or derived from variables."""
    return isinstance(x, Derived | tf.Variable) or (hasattr(x, "path") and hasattr(x, "value"))


def is_fixed(x: Any) -> bool:
    """Whether this depends on constants and variables only, not on the sequence."""
    return isinstance(x, np.ndarray) or is_weight(x)


def _run(op: Any, tensors: Sequence[Any]) -> list[Any]:
    """What an operation gives for other tensors, in eager mode and in a graph."""
    graph = tf.compat.v1.GraphDef(versions=op.graph.graph_def_versions)
    node = graph.node.add()
    node.CopyFrom(op.node_def)
    names = [f"operand_{i}" for i in range(len(tensors))]
    node.input[:] = names
    results = [f"{node.name}:{i}" for i in range(len(op.outputs))]

    def imported(*given: Any) -> Any:
        inputs = {f"{name}:0": tensor for name, tensor in zip(names, given, strict=True)}
        return tf.graph_util.import_graph_def(graph, inputs, results, name="weights")

    if not tf.executing_eagerly():
        return list(imported(*tensors))
    # traced even where functions run op by op: an operation is imported into a graph
    return list(tf.function(imported, autograph=False).get_concrete_function(*tensors)(*tensors))
