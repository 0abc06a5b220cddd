"""How long the pipeline takes on a deep model: each pass, and the checks after it.

python -m benchmarks.passes                 # 80 layers over 1,000 positions, every position a range

The model is a tower of convolutions with residuals, built as a graph without Keras.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from fastism_compiler.ir import BATCH, ChangeRanges, Graph, Node, TensorType
from fastism_compiler.passes import Context, Pass, Pipeline, default_pipeline

CHANNELS = 64
TAPS = 3


def tower(layers: int, length: int) -> Graph:
    """A convolution of the sequence, then `relu(x + conv(x) + bias)` once per layer, a mean, and a Dense."""
    graph = Graph("tower")

    def add(op: str, *operands: Node, layer: str, **attrs: object) -> Node:
        return graph.add(op, operands, attrs, layer=layer)

    def parameter(*shape: int) -> Node:
        return graph.add("parameter", attrs={"binding": "w"}, type=TensorType(shape, "float32"), name="w")

    def conv(x: Node, layer: str) -> Node:
        kernel = parameter(TAPS, x.type.extent(2), CHANNELS)
        y = add("conv", x, kernel, layer=layer, stride=1, dilation=1, groups=1, pad=(TAPS // 2, TAPS // 2))
        return add("add", y, parameter(CHANNELS), layer=layer)

    x = graph.add("input", type=TensorType((BATCH, length, 4), "float32"), name="x", layer="x")
    graph.inputs, graph.sequence = [x], x
    x = add("relu", conv(x, "stem"), layer="stem")
    for number in range(layers):
        layer = f"block_{number}"
        x = add("add", x, add("relu", conv(x, layer), layer=layer), layer=layer)
    pooled = add("reduce_mean", x, layer="pool", axes=(1,), keepdims=False)
    graph.outputs = [add("dense", pooled, parameter(CHANNELS, 1), layer="head")]
    return graph


def best_of(repeats: int, run: Callable[[], dict[str, float]]) -> dict[str, float]:
    """The shortest time of each part over `repeats` runs."""
    times = [run() for _ in range(repeats)]
    return {part: min(t[part] for t in times) for part in times[0]}


def seconds(layers: int, length: int, *, check: bool) -> dict[str, float]:
    """Seconds of each pass, with or without the check of the graph after it, and of all together."""
    times: dict[str, float] = {}

    def observe(step: Pass, graph: Graph, taken: float) -> None:
        times[step.name] = taken

    graph, context = tower(layers, length), Context(ChangeRanges.of(None, length))
    started = time.perf_counter()
    Pipeline(default_pipeline().passes, check=check, observers=(observe,)).run(graph, context)
    return {**times, "all": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=80, help="residual layers of the tower (default 80)")
    parser.add_argument("--length", type=int, default=1000, help="positions, each a change range (default 1000)")
    parser.add_argument("--repeats", type=int, default=5, help="runs, of which the best counts (default 5)")
    options = parser.parse_args()
    alone, checked = (
        best_of(options.repeats, lambda check=check: seconds(options.layers, options.length, check=check))
        for check in (False, True)
    )
    print(f"| {'pass':20} | pass (ms) | checks (ms) |\n|{'-' * 22}|----------:|------------:|")
    for name, taken in alone.items():
        print(f"| {name:20} | {1e3 * taken:9.1f} | {1e3 * (checked[name] - taken):11.1f} |")
    print(f"\npipeline with checks: {checked['all']:.3f} s")


if __name__ == "__main__":
    main()
