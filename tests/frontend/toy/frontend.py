"""The frontend: the model as a graph, and its oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from fastism_compiler.ir import BATCH, Graph, TensorType

from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.builder import Builder
from fastism_compiler.frontend.source import Frontend, Origin, ReadOptions, SourceModel
from fastism_compiler.mutations.inputs import InputSpec
from tests.frontend.toy.model import Motifs


class Rows:
    """Whole sequences, by numpy."""

    def __init__(self, model: Motifs, rows: int, dtype: str = "float32") -> None:
        self.model, self.rows, self.dtype = model, rows, dtype

    def __call__(self, inputs: Sequence[Any]) -> list[Any]:
        outputs = self.model(np.asarray(inputs[0], self.dtype))
        return [outputs["profile"], outputs["amount"]]

    def step_by_step(self, inputs: Sequence[Any]) -> list[Any]:
        return self(inputs)

    def in_float64(self) -> Rows:
        wide = replace(self.model, kernel=self.model.kernel.astype("f8"), head=self.model.head.astype("f8"))
        return Rows(wide, self.rows, "float64")


class ToyOrigin(Origin):
    def __init__(self, model: Motifs) -> None:
        self.model = model

    def oracle(self, rows: int, *, jit: bool = False) -> Rows:
        return Rows(self.model, rows)


class ToyFrontend(Frontend):
    def accepts(self, model: Any) -> bool:
        return isinstance(model, Motifs)

    def read(self, model: Any, options: ReadOptions) -> SourceModel:
        graph, type_ = Graph("motifs"), TensorType((BATCH, model.length, 4), "float32")
        builder = Builder(graph, Bindings(), layer="sequence")
        x = builder.graph.add("input", (), {"index": 0, "input": "sequence"}, type=type_, layer="sequence", name="x")
        graph.inputs, graph.sequence = [x], x
        builder.layer = "motifs"
        scores = builder.add("conv", x, model.kernel, stride=1, dilation=1, groups=1, pad=(0, 0))
        profile = builder.add("relu", scores)
        builder.layer = "amount"
        amount = builder.add("dense", builder.add("reduce_sum", profile, axes=(1,), keepdims=False), model.head)
        graph.outputs = [profile, amount]
        return SourceModel(
            model=model,
            name=graph.name,
            inputs=InputSpec(("sequence",), (type_,), 0, None),
            nest={"profile": 0, "amount": 1},
            output_names=("motifs", "amount"),
            output_dtypes=("float32", "float32"),
            origin=ToyOrigin(model),
            graph=graph,
            bindings=builder.bindings,
            notes=("motifs are not trained",),
        )


FRONTEND = ToyFrontend()
