"""Functions that call TensorFlow itself: traced into a TensorFlow graph, and followed operation by operation.

The graph is traced with a fixed number of sequences, so that all shapes are
known. That number must not matter: it is traced with another one too, and
both graphs have to be the same. Variables stay what they are, and are read
whenever a program runs.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fastism_compiler.errors import first_line
from fastism_compiler.frontend.builder import Builder, Decline, dtype_name, widened
from fastism_compiler.frontend.counts import SEQUENCES, Varying, common
from fastism_compiler.frontend.keras.tensorflow.call import Call, Phases, Rows
from fastism_compiler.frontend.keras.tensorflow.operations import ALLOWED, OPERATIONS, SPREADING
from fastism_compiler.frontend.keras.tensorflow.weights import DerivedWeight, is_fixed, is_weight
from fastism_compiler.ir import BATCH, Node
from fastism_compiler.ir.errors import FastISMError

_INLINING = threading.RLock()


def lower_tensorflow(
    builder: Builder, function: Callable[..., Any], nodes: Sequence[Node], variables: Iterable[Any] = ()
) -> list[Node]:
    """The nodes of a function's flat results.

    Args:
        builder: adds the nodes.
        function: of tensors.
        nodes: what it is applied to.
        variables: Keras variables that it may read; `tf.Variable`s are found in the traced graph.

    Raises:
        Decline: an operation that is not in the table, by name; results that depend on the number of sequences.
    """
    graph, other = (_trace(function, nodes, count) for count in SEQUENCES)
    with closing(_Constants(graph, other)) as constants:
        walk = _Walk(builder, graph, constants, {id(v.value): v for v in variables})
        for placeholder, node in zip(graph.inputs, nodes, strict=False):
            walk.values[placeholder.ref()] = node
        return [walk.result(tensor) for tensor in graph.outputs]


def _trace(function: Callable[..., Any], nodes: Sequence[Node], count: int) -> Any:
    specs = [tf.TensorSpec([count if n is BATCH else n for n in node.type.shape], node.type.dtype) for node in nodes]

    def flat(*tensors: Any) -> list[Any]:
        return list(keras.tree.flatten(function(*tensors)))  # TensorFlow sorts some nests that Keras does not

    try:
        # the scope keeps layers from recording this call, such as its losses
        with keras.StatelessScope(), _inlined():
            return tf.function(flat, autograph=False).get_concrete_function(*specs).graph
    except Exception as error:  # whatever a user's function raises
        raise Decline(f"{type(error).__name__}: {first_line(error, 160)}") from error


@contextmanager
def _inlined() -> Iterator[None]:
    """A context in which a `tf.function` that is called during a trace is traced inline.

    TensorFlow has one such setting for all threads. One thread at a time changes it, so that none restores what another
    has set; programs that run meanwhile may run op by op.
    """
    with _INLINING:
        before = tf.config.functions_run_eagerly()
        tf.config.run_functions_eagerly(True)
        try:
            yield
        finally:
            tf.config.run_functions_eagerly(before)


class _Constants:
    """Values that depend on no input, from two graphs that should differ by nothing but the number of sequences.

    Raises:
        Decline: the graphs do different things.
    """

    def __init__(self, graph: Any, other: Any) -> None:
        ours, theirs = graph.get_operations(), other.get_operations()
        if [op.type for op in ours] != [op.type for op in theirs]:
            raise Decline("what it does depends on the number of sequences")
        assigned = next((op.type for op in ours if "Assign" in op.type), None)
        if assigned is not None:
            raise Decline(f"the TensorFlow operation {assigned} changes a variable")
        self._twins = {op.name: twin for op, twin in zip(ours, theirs, strict=True)}
        self._sessions = [tf.compat.v1.Session(graph=g) for g in (graph, other)]

    def shape(self, op: Any) -> list[Any]:
        """The shape of an operation's operand."""
        return [common(*(np.array(o.inputs[0].shape, o.outputs[0].dtype.as_numpy_dtype) for o in self.both(op)))]

    def values(self, op: Any, operands: Sequence[Any]) -> list[Any]:
        """What an operation of constants gives, each an array or `Varying`."""
        results = []
        for which, (session, one) in enumerate(zip(self._sessions, self.both(op), strict=True)):
            given = [x.pair[which] if isinstance(x, Varying) else x for x in operands]
            fed = {t.name: value for t, value in zip(one.inputs, given, strict=True)}
            results.append(session.run(list(one.outputs), fed))
        return [common(np.asarray(a), np.asarray(b)) for a, b in zip(*results, strict=True)]

    def close(self) -> None:
        """Close the sessions."""
        for session in self._sessions:
            session.close()

    def both(self, op: Any) -> tuple[Any, Any]:
        """An operation in either graph."""
        return op, self._twins[op.name]


@dataclass
class _Walk:
    """Values of a TensorFlow graph, made when they are asked for: nodes, rows of nodes, weights, arrays, `Varying`."""

    builder: Builder
    graph: Any
    constants: _Constants
    variables: dict[int, Any]

    def __post_init__(self) -> None:
        self.values: dict[Any, Any] = {}
        handles = {id(v.handle): v for v in self.graph.variables}
        for outside, inside in self.graph.captures:
            found = handles.get(id(outside))
            if found is not None:
                self.values[inside.ref()] = self.variables.get(id(found), found)
            elif outside.dtype != tf.resource:
                self.values[inside.ref()] = outside.numpy()

    def result(self, tensor: Any) -> Node:
        """The node of one output.

        Raises:
            Decline: it is no value of each sequence.
        """
        value = self._value(tensor)
        if not isinstance(value, Node) or value.type.shape[0] is not BATCH:
            raise Decline("a result that is the same for every sequence, or mixes them")
        dtype = widened(dtype_name(tensor.dtype))
        return value if value.type.dtype == dtype else self.builder.add("cast", value, dtype=dtype)

    def _value(self, tensor: Any) -> Any:
        # not by recursion: a graph may be thousands of operations deep
        stack = [] if tensor.ref() in self.values else [tensor.op]
        while stack:
            needed = () if stack[-1].type == "Shape" else stack[-1].inputs
            missing = [t.op for t in needed if t.ref() not in self.values]
            if missing:
                stack += missing
                continue
            op = stack.pop()
            if op.outputs[0].ref() not in self.values:
                self.values.update(zip((t.ref() for t in op.outputs), self._run(op), strict=True))
        return self.values[tensor.ref()]

    def _run(self, op: Any) -> list[Any]:
        if op.type == "Shape":
            return self.constants.shape(op)
        if op.type == "Placeholder":
            raise Decline("it reads a table or the state of a random generator")
        operands = [self.values[t.ref()] for t in op.inputs]
        if op.type == "ReadVariableOp":
            return operands
        if op.op_def.is_stateful:
            raise Decline(f"the TensorFlow operation {op.type} does more than compute")
        if all(isinstance(x, np.ndarray | Varying) for x in operands):
            return self.constants.values(op, operands)
        if all(is_fixed(x) for x in operands):
            return [DerivedWeight(op, operands, i) for i in range(len(op.outputs))]
        operands = [self.builder.parameter(x) if is_weight(x) else x for x in operands]
        spread = op.type in SPREADING
        made = self._by_rule(op, [(x.once if spread else None) if isinstance(x, Varying) else x for x in operands])
        for one, count in zip(self.constants.both(op), SEQUENCES, strict=True):
            for result, tensor in zip(made, one.outputs, strict=False):
                _check_shape(one, result, tensor, count)
        return made + [None] * (len(op.outputs) - len(made))

    def _by_rule(self, op: Any, operands: Sequence[Any]) -> list[Any]:
        """The results of an operation with computed operands; those that no rule makes may be missing at the end."""
        rule = OPERATIONS.get(op.type)
        if rule is None:
            raise Decline(f"the TensorFlow operation {op.type} has no rule")
        for x in operands:
            if op.type not in ALLOWED.get(type(x), (op.type,)):
                raise Decline(f"the TensorFlow operation {op.type} on positions of all sequences at once")
        if any(x is None for x in operands) and op.type != "Reshape":
            raise Decline("a constant operand depends on the number of sequences")
        if not any(Call.is_batched(x) for x in operands):
            raise Decline(f"the TensorFlow operation {op.type} of weights, for each sequence")
        try:
            made = rule(Call(self.builder, op, operands, SEQUENCES[0]))
        except (Decline, FastISMError):
            raise
        except Exception as error:  # arguments that TensorFlow takes and Keras does not
            raise Decline(f"the TensorFlow operation {op.type} with arguments that have no rule") from error
        return made if isinstance(made, list) else [made]


def _check_shape(op: Any, value: Any, tensor: Any, count: int) -> None:
    """Check that a rule's result has the shape and dtype of TensorFlow's.

    Raises:
        Decline: it has not.
    """
    expected = tuple(tensor.shape)
    if isinstance(value, np.ndarray | Phases):
        return
    if isinstance(value, Rows):
        inner = value.node.type.shape[1:]
        found: tuple[Any, ...] = (count * math.prod(n or 1 for n in inner[:-1]), inner[-1])
    else:
        found = tuple(count if n is BATCH else n for n in value.type.shape)
    if found != expected:
        raise Decline(f"the TensorFlow operation {op.type}, whose result has shape {expected}, not {found}")
    dtype = value.node.type.dtype if isinstance(value, Rows) else value.type.dtype
    if dtype != widened(dtype_name(tensor.dtype)):
        raise Decline(f"the TensorFlow operation {op.type} of {tensor.dtype.name}")
