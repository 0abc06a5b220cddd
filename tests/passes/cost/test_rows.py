from __future__ import annotations

import pytest
from fastism_compiler.ir import Graph, Node, Section
from fastism_compiler.passes import Pipeline, default_pipeline
from fastism_compiler.passes.cost.rows import (
    ITEM_BYTES,
    delta_ops,
    kernel_share,
    row_bytes,
    row_work,
    stored_size,
    stored_work,
)
from fastism_compiler.passes.select_kernels import SelectKernelsPass

from tests.passes.graphs import Tiny, context, wide_convolutions


def planned(graph: Graph, kernel: str) -> Graph:
    pipeline: Pipeline = default_pipeline().replace("select-kernels", SelectKernelsPass(kernels=(kernel,)))
    return pipeline.run(graph, context(graph))


def second_convolution(graph: Graph) -> tuple[Node, Node]:
    """Of the reference, and of the tile: a window of 9, and 9 taps in three groups."""
    return tuple([n for n in graph.nodes(section) if n.op == "conv"][1] for section in Section)  # type: ignore[return-value]


def test_winograd_spares_a_third_of_the_products() -> None:
    """Four pairs meet three groups of three taps in 48 products, the position left over in 9: 57 instead of 81."""
    graph = planned(wide_convolutions(), "winograd")
    reference, tile = second_convolution(graph)
    assert delta_ops(graph)[reference] is tile
    assert kernel_share(tile) == 57 / 81
    assert stored_work(tile) == 57 * 64 * 64
    plain = planned(wide_convolutions(), "scatter-gemm")
    spared = row_work(plain, 500) - row_work(graph, 500)
    assert spared == pytest.approx(24 * 64 * 64, rel=0.02), "but for the edges, where less changes"


@pytest.mark.parametrize(("kernel", "elements"), [("scatter-gemm", 81 * 64), ("winograd", 57 * 64 + 18 * 64), ("direct", 0)])
def test_scratch_counts_as_memory(kernel: str, elements: int) -> None:
    graph = planned(wide_convolutions(), kernel)
    _, tile = second_convolution(graph)
    plain = stored_size(tile) + stored_size(tile.operands[0])
    assert row_bytes(tile) == ITEM_BYTES * (plain + elements)


def test_calls_of_a_shared_layer_are_told_apart() -> None:
    t = Tiny()
    weights = t.parameter(3, 4, 4)
    options = {"stride": 1, "dilation": 1, "groups": 1, "pad": (1, 1)}
    first = t.op("conv", t.x, weights, layer="shared", **options)
    second = t.op("conv", first, weights, layer="shared", **options)
    graph = planned(t.finish(second), "scatter-gemm")
    calls = [n for n in graph.nodes(Section.REFERENCE) if n.op == "conv"]
    widths = [delta_ops(graph)[n].window.ranges.max_width for n in calls]
    assert widths == [3, 5]


def test_what_has_no_arithmetic_stands_for_nothing() -> None:
    graph = planned(wide_convolutions(), "scatter-gemm")
    (relu,) = (n for n in graph.nodes(Section.REFERENCE) if n.op == "relu")
    assert relu not in delta_ops(graph)
