"""Lower an ONNX graph to an `ir.Graph`, operator by operator.

The graph must not depend on the number of sequences, so constants are computed
for two numbers; only small ones (shapes, initial states) may differ.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto
from onnx.reference import ReferenceEvaluator

from fastism_compiler.errors import ModelError, UnsupportedError
from fastism_compiler.frontend.builder import Builder, Decline
from fastism_compiler.frontend.counts import Varying, common
from fastism_compiler.frontend.onnx import strands
from fastism_compiler.frontend.onnx.batch import open_operators
from fastism_compiler.frontend.onnx.call import Call, Rule, Value
from fastism_compiler.frontend.onnx.operators import OPERATORS
from fastism_compiler.frontend.onnx.reading import OURS, opset_of
from fastism_compiler.frontend.onnx.views import View, plain
from fastism_compiler.ir import Node
from fastism_compiler.ir.errors import IRError
from fastism_compiler.mutations.inputs import Array

_FLOW = ("If", "Loop", "Scan", "SequenceMap")
_LARGEST = 1 << 20
"""Maximum elements of a constant that depends on the number of sequences: a shape, or zeros as initial states."""


def lower_graph(builder: Builder, proto: ModelProto, inputs: Mapping[str, View], one: bool = False) -> list[Node]:
    """Lower a model; the nodes of its outputs.

    Args:
        builder: adds the nodes.
        proto: the model, its functions inlined. With `one`, its operators are changed to take any number of sequences.
        inputs: the views of its inputs, by name.
        one: it was exported with one sequence.

    Raises:
        UnsupportedError: an operator, or a use of one, without a rule, by name; an output that does not depend on the
            inputs, or does not have the sequences first.
        ModelError: an operator of constants that cannot be computed.
    """
    walk = _Walk(builder, opset_of(proto), one, dict(inputs))
    for tensor in proto.graph.initializer:
        walk.values[tensor.name] = onnx.numpy_helper.to_array(tensor)
    for node in _needed(proto):
        walk.take(node)
    if one:
        open_operators(proto, walk.shapes)
    return [walk.result(output.name) for output in proto.graph.output]


def _needed(proto: ModelProto) -> list[NodeProto]:
    """The operators that an output depends on, in the order of the file, which is topological."""
    wanted = {output.name for output in proto.graph.output}
    found = []
    for node in reversed(proto.graph.node):
        if wanted & set(node.output):
            wanted |= set(node.input)
            found.append(node)
    return found[::-1]


@dataclass(slots=True)
class _Walk:
    """State of the lowering: values by name.

    Attributes:
        builder: adds nodes.
        opset: version of the operators.
        one: the model was exported with one sequence.
        values: what is known so far.
        shapes: with `one`, the target of each Reshape, as `open_operators` takes them.
    """

    builder: Builder
    opset: int
    one: bool
    values: dict[str, Value] = field(default_factory=dict)
    shapes: dict[str, list[int]] = field(default_factory=dict)

    def take(self, node: NodeProto) -> None:
        """Lower one operator, or compute it where its operands are constants.

        Raises:
            UnsupportedError: there is no rule for it, or none for this use.
        """
        operands = [self._known(node, name) if name else None for name in node.input]
        self.builder.layer = layer_of(node)
        if node.op_type in _FLOW:
            raise refusal(node, "the flow of a model must not depend on its values; export it without branches")
        if any(isinstance(x, View) for x in operands):
            made = self._lowered(node, operands)
        else:
            made = self._computed(node, operands)
        found = zip(node.output, made, strict=False)
        self.values.update((name, value) for name, value in found if name and value is not None)

    def _known(self, node: NodeProto, name: str) -> Value:
        """An operand; results that no rule computes, such as the mask of a dropout, are missed where they are read."""
        if name not in self.values:
            raise refusal(node, f"it reads {name!r}, which no rule computes")
        return self.values[name]

    def result(self, name: str) -> Node:
        """The node of one output.

        Raises:
            UnsupportedError: it does not depend on the inputs, or its first axis is not that of the sequences.
        """
        value = self.values.get(name)
        if not isinstance(value, View):
            raise UnsupportedError("an output does not depend on the sequence", got=f"output {name!r}")
        try:
            return plain(self.builder, value)
        except Decline as reason:
            got = f"output {name!r}: {reason}"
            raise UnsupportedError("an output must have its sequences first", got=got) from reason

    def _lowered(self, node: NodeProto, operands: Sequence[Value]) -> list[Value]:
        rule = OPERATORS.get(node.op_type) if node.domain in OURS else None
        if rule is None:
            raise refusal(node, "there is no rule for it")
        attributes = {a.name: _attribute(a) for a in node.attribute}
        results = max((i for i, name in enumerate(node.output, 1) if name), default=0)
        call = Call(self.builder, node.op_type, attributes, operands, results, self.opset, self.one)
        try:
            made = _applied(rule, call)
        except (Decline, IRError) as reason:
            raise refusal(node, str(reason)) from reason
        if self.one and node.op_type == "Reshape":
            self.shapes[node.output[0]] = [-1 if i == made.batch else made.extent(i) for i in range(made.rank)]
        return made if isinstance(made, list) else [made]

    def _computed(self, node: NodeProto, operands: Sequence[Value]) -> list[Value]:
        """Evaluate an operator whose operands are constants."""
        if node.op_type.startswith("Random") or node.op_type in ("Multinomial", "Bernoulli"):
            raise refusal(node, "it is random")
        pairs = [x.pair if isinstance(x, Varying) else (x, x) for x in operands]
        varies = any(isinstance(x, Varying) for x in operands)
        results = [_evaluate(node, [pair[i] for pair in pairs], self.opset) for i in range(1 + varies)]
        made = [None if a is None else common(a, b) for a, b in zip(results[0], results[-1], strict=True)]
        if any(isinstance(x, Varying) and x.pair[0].size > _LARGEST for x in made):
            raise refusal(node, "a large constant depends on the number of sequences")
        return made


def _applied(rule: Rule, call: Call) -> Any:
    """Apply a rule; where it declines, to each strand of the operands by itself."""
    try:
        return rule(call)
    except (Decline, IRError):
        made = strands.each(call, rule)
        if made is None:
            raise
        return made


def _evaluate(node: NodeProto, operands: Sequence[Any], opset: int) -> list[Array | None]:
    """Evaluate an operator with ONNX's reference evaluator.

    Raises:
        ModelError: it cannot be computed.
    """
    given = {name: x for name, x in zip(node.input, operands, strict=True) if name}
    outputs = [name for name in node.output if name]
    imports = [onnx.helper.make_opsetid("", opset)]
    function = onnx.helper.make_function("constants", "one", list(given), outputs, [node], imports)
    try:
        results = ReferenceEvaluator(function).run(None, given, attributes={})
    except Exception as error:  # an operator may raise anything on operands that it does not accept
        raise ModelError("an operator of constants cannot be computed", got=f"{described(node)}: {error}") from error
    made = iter(results)
    return [np.asarray(next(made)) if name else None for name in node.output]


def _attribute(attribute: Any) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else _texts(value)


def _texts(value: Any) -> Any:
    return [x.decode() if isinstance(x, bytes) else x for x in value] if isinstance(value, list) else value


def layer_of(node: NodeProto) -> str:
    """The module that an operator comes from, as exporters write it; else its own name."""
    scopes = next((entry.value for entry in node.metadata_props if entry.key == "pkg.torch.onnx.name_scopes"), "")
    names = [name.strip(" '\"") for name in scopes.strip("[]").split(",")]
    module = next((name for name in reversed(names[:-1]) if name), "")
    return module or node.name.strip("/") or next(iter(node.output), node.op_type)


def described(node: NodeProto) -> str:
    """An operator in an error message."""
    domain = f"{node.domain}." if node.domain not in OURS else ""
    return f"operator {domain}{node.op_type}, node {node.name or next(iter(node.output), '')!r}"


def refusal(node: NodeProto, reason: str) -> UnsupportedError:
    """The error for an operator that cannot be lowered."""
    return UnsupportedError(
        "an ONNX operator cannot be compiled", expected="operators of the page 'ONNX operators'",
        got=f"{described(node)}: {reason}",
    )  # fmt: skip
