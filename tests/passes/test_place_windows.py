from __future__ import annotations

from dataclasses import replace

import pytest
from fastism_compiler.ir import ChangeRanges, Graph, Node, Section, to_text
from fastism_compiler.passes import default_pipeline
from fastism_compiler.passes.cost.rows import ITEM_BYTES, row_bytes, stored_size, stored_work
from fastism_compiler.passes.select_kernels import SelectKernelsPass

from tests.conftest import Golden
from tests.passes.graphs import Tiny, context, conv_relu_pool_dense, residual_with_stop, run_until


def test_conv_relu_pool_dense(golden: Golden) -> None:
    golden(to_text(run_until(conv_relu_pool_dense(), "place-windows")))


def test_residual_with_stop(golden: Golden) -> None:
    golden(to_text(run_until(residual_with_stop(), "place-windows")))


def test_strided_convolution(golden: Golden) -> None:
    """Rows are shifted to where a stride of 3 begins, in front of the convolution."""
    t = Tiny()
    y = t.conv(t.conv(t.x, 3, layer="conv_1"), 2, layer="conv_2", stride=3, pad=(0, 0))
    golden(to_text(run_until(t.finish(t.op("relu", y, layer="relu")), "place-windows")))


def test_gathering_stores_the_change_range_and_nothing_else() -> None:
    pipeline = default_pipeline().replace("select-kernels", SelectKernelsPass(kernels=("gather-gemm",)))
    graph = conv_relu_pool_dense()
    pipeline.run(graph, context(graph))
    first, second = (n for n in graph.nodes(Section.TILE) if n.op == "conv")
    for node, kernel_size in ((first, 3 * 4 * 3), (second, 3 * 3 * 2)):
        assert node.carrier.width == node.window.ranges.max_width
        filters = node.type.extent(2)
        assert stored_work(node) == node.carrier.width * kernel_size
        plain = ITEM_BYTES * (stored_size(node) + stored_size(node.operands[0]))
        assert row_bytes(node) == plain + ITEM_BYTES * node.carrier.width * kernel_size // filters


def test_a_mean_over_positions_reads_what_is_stored() -> None:
    t = Tiny()
    graph = run_until(t.finish(t.op("avg_pool", t.x, size=4, stride=4, pad=(0, 0))), "place-windows")
    (pool,) = (n for n in graph.nodes(Section.TILE) if n.op == "avg_pool")
    assert stored_work(pool) == stored_size(pool.operands[0]) > 0


def dense_over_a_window(slice_bytes: int | None) -> tuple[Graph, Node]:
    """The Dense of 12 positions by 5 channels on 7 units, of which a tile reads a slice of 3 positions."""
    t = Tiny()
    flat = t.op("reshape", t.conv(t.x, 5), shape=(60,))
    graph = t.finish(t.op("dense", flat, t.parameter(60, 7)))
    one_range = ChangeRanges.of([(6, 7)], 12)
    default_pipeline().run(graph, replace(context(graph), ranges=one_range, slice_bytes=slice_bytes))
    (dense,) = (n for n in graph.nodes(Section.TILE) if n.op == "dense")
    assert dense.operands[0].carrier.width == 15
    return graph, dense


@pytest.mark.parametrize(
    ("slice_bytes", "parts"), [(None, 1), (15 * 28, 1), (15 * 28 - 1, 3), (5 * 28, 3), (4 * 28, 5), (28, 15), (27, 1)]
)
def test_a_large_slice_of_a_dense_kernel_is_read_in_equal_parts(slice_bytes: int | None, parts: int) -> None:
    graph, dense = dense_over_a_window(slice_bytes)
    assert dense.facts.parts == parts
    assert (f"kernel=kernel-rows in {parts} parts" in to_text(graph)) == (parts > 1)


def test_a_kernel_that_is_read_whole_is_not_cut() -> None:
    t = Tiny(length=3)
    flat = t.op("reshape", t.conv(t.x, 5), shape=(15,))
    graph = t.finish(t.op("dense", flat, t.parameter(15, 7)))
    default_pipeline().run(graph, replace(context(graph), slice_bytes=1))
    (dense,) = (n for n in graph.nodes(Section.TILE) if n.op == "dense")
    assert dense.facts.parts == 1
