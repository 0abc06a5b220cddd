from __future__ import annotations

import pytest
from fastism_compiler.ir import ChangeRanges, Graph, Section, to_text
from fastism_compiler.passes import Context, default_pipeline

from tests.conftest import Golden
from tests.passes.graphs import Tiny, conv_relu_pool_dense, residual_with_stop, run_until, wide_convolutions


def test_conv_relu_pool_dense(golden: Golden) -> None:
    golden(to_text(run_until(conv_relu_pool_dense(), "plan-tiles")))


def test_residual_with_stop(golden: Golden) -> None:
    golden(to_text(run_until(residual_with_stop(), "plan-tiles")))


def tile_bytes(graph: Graph, shared_cache: int) -> int:
    context = Context(ChangeRanges.of(None, 500), tile_bytes=64 << 20, shared_cache=shared_cache)
    tiling = default_pipeline().run(graph, context).tiling
    assert tiling is not None
    return tiling.most_rows * tiling.row_bytes


def test_windows_stay_in_a_shared_cache() -> None:
    assert tile_bytes(wide_convolutions(), 64 << 20) > 32 << 20
    assert tile_bytes(wide_convolutions(), 16 << 20) == pytest.approx(16 << 20, rel=0.1)


def test_tiles_that_read_a_large_kernel_leave_a_shared_cache() -> None:
    """Reading a dense kernel of 32 MB once for many rows saves more than the cache does."""
    t = Tiny(length=500)
    flat = t.op("reshape", t.op("relu", t.conv(t.x, 8)), shape=(4000,))
    graph = t.finish(t.op("dense", t.op("relu", flat), t.parameter(4000, 2000)))
    assert tile_bytes(graph, 1 << 20) > 1 << 20


def test_ranges_that_share_a_start_form_a_group() -> None:
    graph = run_until(conv_relu_pool_dense(), "plan-tiles")
    (shared,) = (n for n in graph.nodes(Section.TILE) if n.facts.shared_start)
    assert graph.tiling is not None
    for label in set(graph.tiling.groups):
        assert len(set(shared.carrier.start[graph.tiling.groups == label])) == 1


def test_without_shared_starts_there_is_one_group() -> None:
    tiling = run_until(wide_convolutions(), "plan-tiles").tiling
    assert tiling is not None and not tiling.groups.any()
