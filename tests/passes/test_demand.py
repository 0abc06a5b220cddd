from __future__ import annotations

import pytest
from fastism_compiler.ir import ChangeRanges, Graph, to_text
from fastism_compiler.ir.errors import IRError, PassError
from fastism_compiler.ir.verifier import verify

from tests.conftest import Golden
from tests.passes.graphs import Tiny, conv_relu_pool_dense, promises_until, residual_with_stop, run_until


def test_conv_relu_pool_dense(golden: Golden) -> None:
    golden(to_text(run_until(conv_relu_pool_dense(), "demand")))


def test_residual_with_stop(golden: Golden) -> None:
    golden(to_text(run_until(residual_with_stop(), "demand")))


def around(reach: int, also_whole: bool = False) -> Graph:
    """A tower whose output is wanted near the change; flipped once, and pooled."""
    t = Tiny(length=24)
    y = t.op("relu", t.conv(t.x, 3, taps=5, layer="conv_1"), layer="relu_1")
    z = t.op("flip", t.op("flip", t.conv(y, 3, layer="conv_2"), axis=1), axis=1)
    wanted = t.op("around", t.op("add", y, z), axis=1, reach=reach, stride=1, offset=0, layer="head")
    return t.finish(wanted, *([t.op("tanh", y)] if also_whole else []))


def test_positions_around_the_change(golden: Golden) -> None:
    golden(to_text(run_until(around(1), "plan-tiles", ranges=[(0, 1), (12, 13), (22, 24)])))


def test_what_something_else_reads_is_wanted_whole() -> None:
    graph = run_until(around(1, also_whole=True), "demand", ranges=[(12, 13)])
    near = {n.name: n.facts.near for n in graph if n.facts.axis is not None}
    assert near["around"] is not None and near["relu"] is None


def test_an_aggregate_wants_everything() -> None:
    t = Tiny()
    y = t.conv(t.x, 3)
    graph = t.finish(
        t.op("around", y, axis=1, reach=1, stride=1, offset=0),
        t.op("reduce_max", y, axes=(1,), keepdims=False),
    )
    assert all(n.facts.near is None for n in run_until(graph, "demand") if n.op == "conv")


def test_too_little_wanted_is_refused() -> None:
    graph = run_until(around(1), "demand", ranges=[(12, 13)])
    for node in graph:
        near = node.facts.near
        if near is not None and node not in graph.outputs:
            node.facts.near = ChangeRanges(near.lo + 1, near.hi)
            with pytest.raises(IRError, match="is wanted of it"):
                verify(graph, promises_until("demand"))
            node.facts.near = near
    verify(graph, promises_until("demand"))


def test_a_change_far_from_the_output_is_not_followed() -> None:
    """Position 0 stands for letter 20: a change of letter 0 is wanted nowhere."""
    t = Tiny(length=24)
    graph = t.finish(t.op("around", t.conv(t.x, 3), axis=1, reach=1, stride=1, offset=40))
    graph = run_until(graph, "propagate-ranges", ranges=[(0, 1), (23, 24)])
    assert [n.window.ranges.max_width for n in graph if n.op == "conv"] == [0]


def test_positions_on_another_axis_are_refused() -> None:
    t = Tiny()
    across = t.op("transpose", t.conv(t.x, 3), perm=(0, 2, 1))
    graph = t.finish(t.op("around", across, axis=1, reach=1, stride=1, offset=0))
    with pytest.raises(PassError, match="axis 1 of an output"):
        run_until(graph, "demand")
