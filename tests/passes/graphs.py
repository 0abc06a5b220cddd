"""Tiny IR graphs, built without Keras, for golden and rejection tests."""

from __future__ import annotations

from typing import Any

from fastism_compiler.ir import BATCH, ChangeRanges, Graph, Node, TensorType
from fastism_compiler.ir.verifier import Promises
from fastism_compiler.passes import Context, Pipeline, default_pipeline


class Tiny:
    """A graph under construction: `t.op("relu", x)`."""

    def __init__(self, length: int = 12, channels: int = 4) -> None:
        self.graph = Graph("tiny")
        shape = TensorType((BATCH, length, channels), "float32")
        self.x = self.graph.add("input", type=shape, name="x", layer="x")
        self.graph.inputs, self.graph.sequence = [self.x], self.x

    def parameter(self, *shape: int) -> Node:
        return self.graph.add("parameter", attrs={"binding": "w"}, type=TensorType(shape, "float32"), name="w")

    def op(self, op: str, *operands: Node, layer: str | None = None, **attrs: object) -> Node:
        return self.graph.add(op, operands, attrs, layer=layer)

    def conv(self, x: Node, filters: int, taps: int = 3, layer: str = "conv", **attrs: object) -> Node:
        options = {"stride": 1, "dilation": 1, "groups": 1, "pad": (taps // 2, taps // 2), **attrs}
        return self.op("conv", x, self.parameter(taps, x.type.extent(2), filters), layer=layer, **options)

    def finish(self, *outputs: Node) -> Graph:
        self.graph.outputs = list(outputs)
        return self.graph


def conv_relu_pool_dense() -> Graph:
    t = Tiny()
    y = t.op("relu", t.conv(t.x, 3, layer="conv_1"), layer="relu_1")
    y = t.op("max_pool", y, size=2, stride=2, pad=(0, 0), layer="pool")
    y = t.op("relu", t.conv(y, 2, layer="conv_2"), layer="relu_2")
    flat = t.op("reshape", y, shape=(12,), layer="flatten")
    return t.finish(t.op("dense", flat, t.parameter(12, 2), layer="dense"))


def residual_with_stop() -> Graph:
    t = Tiny()
    y = t.op("relu", t.conv(t.x, 4, layer="conv_1"), layer="relu_1")
    z = t.op("add", y, t.conv(y, 4, layer="conv_2", dilation=2, pad=(2, 2)), layer="add")
    return t.finish(t.op("softmax", z, axes=(1,), layer="attention"), t.op("slice", z, axis=1, begin=4, end=8))


def wide_convolutions() -> Graph:
    """Two convolutions of 64 filters over 500 positions, of which windows read and write most."""
    t = Tiny(length=500)
    return t.finish(t.conv(t.op("relu", t.conv(t.x, 64, taps=9)), 64, taps=9))


def context(graph: Graph, stop_at: frozenset[str] = frozenset(), jit: bool = True, ranges: Any = None) -> Context:
    assert graph.sequence is not None
    return Context(ChangeRanges.of(ranges, graph.sequence.type.extent(1)), stop_at, jit, batch_size=2)


def run_until(graph: Graph, name: str, stop_at: frozenset[str] = frozenset(), ranges: Any = None) -> Graph:
    """Run the default pipeline up to and including the pass called `name`."""
    passes = default_pipeline()
    last = passes.names().index(name) + 1
    return Pipeline(passes.passes[:last]).run(graph, context(graph, stop_at, ranges=ranges))


def promises_until(name: str) -> Promises:
    """What the default passes promise, up to and including the pass called `name`."""
    passes = default_pipeline()
    return [(p.name, p.ensures) for p in passes.passes[: passes.names().index(name) + 1]]
