"""Two passes of your own: a rewrite and an analysis.

    python examples/custom_passes.py

A pass is a frozen dataclass with a name; its fields are its options. It is
inserted into a pipeline before or after a named pass. The graph is verified
after it as after every other, including what the pass itself promises.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from fastism_compiler.ir import Graph, Node, StageSpec
from fastism_compiler.passes import Kind

import fastism_compiler as fc


def _is_pointwise(node: Node) -> bool:
    if node.op != "conv" or node.attrs["stride"] != 1 or node.attrs["groups"] != 1:
        return False
    return node.operands[1].type.extent(0) == 1


def is_folded(node: Node) -> str | None:
    """What is wrong with a node after `fold-pointwise`; None if nothing is."""
    unfolded = _is_pointwise(node) and _is_pointwise(node.operands[0])
    return "a convolution of width 1 reads another" if unfolded else None


@dataclass(frozen=True)
class FoldPointwisePass(fc.Pass):
    """`conv(conv(x, k1), k2)` with kernels of width 1 is one convolution with `k1 @ k2`.

    The product is a node of the graph: it is computed once per block, from
    the weights as they are then. A first convolution that another op reads
    stays; one that has a bias is left alone. `ensures` promises that no such
    pair is left, and the pipeline checks it after every later pass.
    """

    name: ClassVar[str] = "fold-pointwise"
    requires: ClassVar[tuple[str, ...]] = ("canonicalize",)
    ensures: ClassVar[StageSpec] = StageSpec(reference=(is_folded,))

    def run(self, graph: Graph, context: fc.Context) -> None:
        for second in graph.nodes():
            if is_folded(second) is None:
                continue
            first, outer = second.operands
            x, inner = first.operands
            outer = graph.add("reshape", [outer], {"shape": outer.type.shape[1:]})
            kernel = graph.add("dense", [inner, outer])
            graph.replace(second, graph.add("conv", [x, kernel], second.attrs, layer=second.layer))
        graph.prune()


@dataclass(frozen=True)
class ReceptiveFieldPass(fc.Pass):
    """Records how many positions one mutated letter reaches, per layer, in `report`."""

    name: ClassVar[str] = "receptive-field"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("propagate-ranges",)
    report: dict[str, int] = field(default_factory=dict)

    def run(self, graph: Graph, context: fc.Context) -> None:
        for node in graph:
            if node.layer and node.has_window:
                self.report[node.layer] = node.facts.state.ranges.max_width


def main() -> None:
    import keras

    layers = keras.layers
    x = inputs = layers.Input((100, 4))
    x = layers.Conv1D(16, 7, padding="same", activation="relu")(x)
    x = layers.Conv1D(64, 1, use_bias=False)(x)
    x = layers.Conv1D(8, 1, use_bias=False)(x)
    model = keras.Model(inputs, layers.Conv1D(1, 15, padding="same")(x))

    reach = ReceptiveFieldPass()
    pipeline = fc.default_pipeline()
    pipeline = pipeline.insert_after("canonicalize", FoldPointwisePass()).insert_after("propagate-ranges", reach)
    program = fc.compile(model, pipeline=pipeline)
    print(program.plan)
    print("positions reached:", reach.report)


if __name__ == "__main__":
    main()
