"""What a compiled program still asks of its ONNX model."""

from __future__ import annotations

from dataclasses import dataclass

from onnx import ModelProto

from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.keras.reduction import append_function
from fastism_compiler.frontend.onnx.oracle import OnnxRows
from fastism_compiler.frontend.source import FlatFunction, Origin
from fastism_compiler.ir import Graph, Node
from fastism_compiler.mutations.inputs import InputSpec


@dataclass(frozen=True, slots=True, eq=False)
class OnnxOrigin(Origin):
    """An ONNX model with an open batch, and what it takes. Its weights are constants."""

    proto: ModelProto
    inputs: InputSpec

    def oracle(self, rows: int, *, jit: bool = False) -> OnnxRows:
        """The model itself on whole sequences."""
        return OnnxRows(self.proto, self.inputs, rows)

    def append(self, graph: Graph, bindings: Bindings, function: FlatFunction) -> list[Node] | None:
        """Append a function that is made of `keras.ops`."""
        return append_function(graph, bindings, function)
