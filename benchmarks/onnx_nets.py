"""ONNX graphs for tests and for the fuzzer, built with one line per operator."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto, helper, numpy_helper


class Net:
    """Grows a graph; methods return names of tensors.

    Args:
        shape: of the sequence, without the batch.
        dtype: of the sequence.
        opset: version of the operators.
        batch: sequences, or a name for any number.
    """

    def __init__(self, *shape: int, dtype: int = TensorProto.FLOAT, opset: int = 18, batch: Any = "batch") -> None:
        self.opset, self.batch = opset, batch
        self.inputs: list[Any] = []
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.rng = np.random.default_rng(0)
        self.x = self.input("x", *shape, dtype=dtype)

    def input(self, name: str, *shape: int, dtype: int = TensorProto.FLOAT) -> str:
        """One more input."""
        self.inputs.append(helper.make_tensor_value_info(name, dtype, [self.batch, *shape]))
        return name

    def weight(self, value: Any) -> str:
        """A constant; a tuple of sizes is drawn at random."""
        if isinstance(value, tuple):
            value = (self.rng.standard_normal(value) / np.sqrt(np.prod(value[1:]) or 1)).astype("float32")
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, *operands: Any, results: int = 1, **attributes: Any) -> Any:
        """Adds an operator; operands other than names become constants, None a missing operand."""
        names = [x if isinstance(x, str) else "" if x is None else self.weight(x) for x in operands]
        outputs = [f"t{len(self.nodes)}_{i}" for i in range(results)]
        node = helper.make_node(kind, names, outputs, name=f"{kind}_{len(self.nodes)}", **attributes)
        self.nodes.append(node)
        return outputs[0] if results == 1 else outputs

    def model(self, *outputs: str, dtypes: Sequence[int] = ()) -> ModelProto:
        """The graph, whose outputs these are."""
        kinds = dtypes or [TensorProto.FLOAT] * len(outputs)
        made = [helper.make_tensor_value_info(name, kind, None) for name, kind in zip(outputs, kinds, strict=True)]
        graph = helper.make_graph(self.nodes, "net", self.inputs, made, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)
        inferred = onnx.shape_inference.infer_shapes(model)
        known = {value.name: value for value in inferred.graph.output}
        for value in model.graph.output:
            value.CopyFrom(known[value.name])
            if not value.type.tensor_type.HasField("shape"):  # not every operator's is inferred
                value.CopyFrom(helper.make_tensor_value_info(value.name, TensorProto.FLOAT, ["batch", None, None]))
        return model
