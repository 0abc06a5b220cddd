from __future__ import annotations

import pytest
from fastism_compiler.ir import ChangeRanges, Graph, Node, Section
from fastism_compiler.ir.kernels import KERNELS, KernelShape
from fastism_compiler.passes import Context, Pipeline, default_pipeline
from fastism_compiler.passes.cost.rows import (
    ITEM_BYTES,
    delta_ops,
    kernel_shape,
    kernel_share,
    row_bytes,
    row_work,
    stored_size,
    stored_work,
    weights_read,
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


@pytest.mark.parametrize(
    ("kernel", "elements"), [("scatter-gemm", 81 * 64), ("winograd", 57 * 64 + 18 * 64), ("direct", 0)]
)
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


def seven_positions(kernel: str) -> Node:
    """A window of 7 positions that meets 11 taps, from 16 channels to 32."""
    t = Tiny(length=60, channels=16)
    graph = t.finish(t.conv(t.x, 32, taps=11))
    pipeline = default_pipeline().replace("select-kernels", SelectKernelsPass(kernels=(kernel,)))
    pipeline.run(graph, Context(ChangeRanges.of([(20, 27), (30, 37)], 60)))
    (node,) = (n for n in graph.nodes(Section.TILE) if n.op == "conv")
    return node


@pytest.mark.parametrize("kernel", SelectKernelsPass().kernels)
def test_the_planner_counts_what_the_kernel_says(kernel: str) -> None:
    node = seven_positions(kernel)
    width = 27 if kernel == "gather-gemm" else 7
    shape = KernelShape(1, width, 17, 11, 16, 32, 1)
    spec = KERNELS[kernel]
    assert kernel_shape(node) == shape
    assert stored_work(node) == spec.multiply_adds(shape)
    assert weights_read(node) == (spec.arranged(shape) or 11 * 16 * 32)


def test_zeros_of_a_banded_matrix_are_multiplied_and_read() -> None:
    node = seven_positions("toeplitz")
    assert stored_work(node) == weights_read(node) == 7 * 16 * 17 * 32 == 60_928


def test_an_ordinary_convolution_multiplies_the_zeros_beside_its_window() -> None:
    assert stored_work(seven_positions("direct")) == 17 * 11 * 16 * 32


@pytest.mark.parametrize(
    ("op", "kernel", "attrs", "work"),
    [
        ("conv", (3, 4, 6), {"stride": 2, "dilation": 1, "groups": 1, "pad": (1, 1)}, 3 * 4 * 6),
        ("conv", (3, 2, 6), {"stride": 1, "dilation": 1, "groups": 2, "pad": (1, 1)}, 3 * 2 * 6),
        ("depthwise_conv", (3, 4, 2), {"stride": 1, "dilation": 2, "pad": (2, 2)}, 3 * 8),
    ],
)
def test_strides_and_groups_cost_what_each_output_reads(
    op: str, kernel: tuple[int, ...], attrs: dict[str, object], work: int
) -> None:
    t = Tiny()
    graph = planned(t.finish(t.op(op, t.x, t.parameter(*kernel), **attrs)), "direct")
    (node,) = (n for n in graph.nodes(Section.TILE) if n.op == op)
    assert stored_work(node) == kernel_shape(node).out_width * work
    assert weights_read(node) == node.operands[1].type.row_size


def test_a_transposed_convolution_meets_every_tap_once_per_position() -> None:
    t = Tiny()
    y = t.op("conv_transpose", t.x, t.parameter(4, 6, 4), stride=2, dilation=1, pad=1, out_length=24)
    graph = planned(t.finish(y), "direct")
    (node,) = (n for n in graph.nodes(Section.TILE) if n.op == "conv_transpose")
    assert node.facts.kernel == "scatter-gemm"
    assert stored_work(node) == kernel_shape(node).width * 4 * 6 * 4


def test_a_dense_over_positions_multiplies_what_is_stored_and_reads_what_changes() -> None:
    t = Tiny()
    flat = t.op("reshape", t.conv(t.x, 5), shape=(60,))
    graph = planned(t.finish(t.op("dense", flat, t.parameter(60, 7))), "direct")
    (node,) = (n for n in graph.nodes(Section.TILE) if n.op == "dense")
    rows = node.operands[0]
    assert stored_work(node) == rows.carrier.width * 7
    assert weights_read(node) == rows.window.ranges.max_width * 7
