"""A function of an artifact as part of another: its operations copied, its weights arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from fastism_compiler.emit.rows import BARRIER


@dataclass(slots=True, eq=False)
class FixedWeight:
    """A variable of an artifact, which never changes.

    Attributes:
        path: its name.
        value: the variable; `shape` is its own.
    """

    path: str
    value: Any

    @property
    def shape(self) -> Any:
        return self.value.shape


class Inlined:
    """The operations of a loaded function, for converters that do not look into calls.

    Args:
        trace: the function.
        barriers: keep the fusion barriers that XLA needs on a CPU.

    Attributes:
        weights: the variables that it reads. One that it hands on, such as to the function of a layer that runs as it
            is, stays a variable.
    """

    def __init__(self, trace: Any, barriers: bool) -> None:
        definition = trace.graph.as_graph_def()
        names = [t.op.name for t in trace.inputs]
        count = len(names) - len(trace.captured_inputs)
        self._own, self._outputs = names[:count], [t.name for t in trace.outputs]
        self._captured = dict(zip(names[count:], trace.captured_inputs, strict=True))
        self._variables = {id(v.handle): v for v in trace.graph.variables}
        reads = ((n.name, self._variable(n.input[0])) for n in definition.node if n.op == "ReadVariableOp")
        self._reads = {name: variable for name, variable in reads if variable is not None}
        self.weights = [FixedWeight(str(v.name), v) for v in {id(v): v for v in self._reads.values()}.values()]
        self._make_room(definition)
        if not barriers:
            _take_barriers_out(definition.library)
        self._definition = definition
        self._needed = {name.partition(":")[0] for node in definition.node for name in node.input}

    def __call__(self, *arguments: Any) -> list[Any]:
        """The outputs, flat, of the function's own tensors and then the values of `weights`."""
        graph = tf.compat.v1.get_default_graph()
        values = {id(w.value): x for w, x in zip(self.weights, arguments[len(self._own) :], strict=True)}
        placed = dict(zip(self._own, arguments[: len(self._own)], strict=True))
        placed |= {name: values[id(variable)] for name, variable in self._reads.items()}
        for name in sorted(self._needed & set(self._captured)):
            placed[name] = graph.capture(self._captured[name])
            variable = self._variable(name)
            if variable is not None:
                graph.watch_variable(variable)
        outputs: list[Any] = tf.graph_util.import_graph_def(
            self._definition, {f"{n}:0": x for n, x in placed.items() if n in self._needed}, self._outputs, name=""
        )
        return outputs

    def _variable(self, name: str) -> Any:
        """The variable behind an input; None: it is none."""
        return self._variables.get(id(self._captured.get(name)))

    def _make_room(self, definition: Any) -> None:
        """Take out what arguments stand for."""
        for node in definition.node:
            if node.name in self._reads:  # others may wait for it
                node.op = "NoOp"
                node.attr.clear()
                del node.input[:]
        inputs = {*self._own, *self._captured}
        kept = [node for node in definition.node if node.name not in inputs]
        del definition.node[:]
        definition.node.extend(kept)


def _take_barriers_out(library: Any) -> None:
    """Make every fusion barrier, which always takes the same branch, the identity."""
    for function in library.function:
        for node in function.node_def:
            if node.name.rpartition("/")[2].startswith(BARRIER) and node.op == "StatelessIf":
                value, dtype = node.input[1], node.attr["Tin"].list.type[0]
                node.op = "Identity"
                node.attr.clear()
                node.attr["T"].type = dtype
                node.input[:] = [value]
