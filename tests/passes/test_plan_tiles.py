from __future__ import annotations

from dataclasses import replace

import pytest
from fastism_compiler.ir import ChangeRanges, Graph, Node, Section, to_text
from fastism_compiler.passes import Context, default_pipeline
from fastism_compiler.passes.cost.rows import ITEM_BYTES, row_bytes, stored_size, stored_work
from fastism_compiler.passes.plan_tiles import spilled
from fastism_compiler.passes.select_kernels import GATHER_GEMM, SelectKernelsPass

from tests.conftest import Golden
from tests.passes.graphs import Tiny, context, conv_relu_pool_dense, residual_with_stop, run_until, wide_convolutions


def test_conv_relu_pool_dense(golden: Golden) -> None:
    golden(to_text(run_until(conv_relu_pool_dense(), "plan-tiles")))


def test_residual_with_stop(golden: Golden) -> None:
    golden(to_text(run_until(residual_with_stop(), "plan-tiles")))


def test_gathering_stores_the_change_range_and_nothing_else() -> None:
    pipeline = default_pipeline().replace("select-kernels", SelectKernelsPass(kernels=(GATHER_GEMM,)))
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
    graph = run_until(t.finish(t.op("avg_pool", t.x, size=4, stride=4, pad=(0, 0))), "plan-tiles")
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


def tile_bytes(graph: Graph, shared_cache: int) -> int:
    context = Context(ChangeRanges.of(None, 500), tile_bytes=64 << 20, shared_cache=shared_cache)
    tiling = default_pipeline().run(graph, context).tiling
    assert tiling is not None
    return tiling.most_rows * tiling.row_bytes


def test_windows_stay_in_a_shared_cache() -> None:
    assert tile_bytes(wide_convolutions(), 64 << 20) > 32 << 20
    assert tile_bytes(wide_convolutions(), 16 << 20) == pytest.approx(16 << 20, rel=0.1)


def test_what_caches_do_not_hold() -> None:
    assert spilled(100, []) == spilled(100, [None]) == 0
    assert spilled(100, [200]) == spilled(100, [100]) == 0
    assert spilled(100, [25]) == 0.75
    assert spilled(100, [25, None, 200]) == 0.375


def test_tiles_that_read_a_large_kernel_leave_a_shared_cache() -> None:
    """Reading a dense kernel of 32 MB once for many rows saves more than the cache does."""
    t = Tiny(length=500)
    flat = t.op("reshape", t.op("relu", t.conv(t.x, 8)), shape=(4000,))
    graph = t.finish(t.op("dense", t.op("relu", flat), t.parameter(4000, 2000)))
    assert tile_bytes(graph, 1 << 20) > 1 << 20
