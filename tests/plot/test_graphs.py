from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastism_compiler.ir import Graph, Section

import fastism_compiler as fc
from fastism_compiler.plot import graph_figure
from fastism_compiler.plot.rows import rows_of
from tests.graphs import GRAPHS
from tests.passes.graphs import conv_relu_pool_dense, residual_with_stop, run_until


def lowered(graph: Graph) -> Graph:
    return run_until(graph, "plan-tiles")


def boxes(figure: Any) -> list[str]:
    return [p.get_gid() for p in figure.axes[0].patches if p.get_gid() and not p.get_gid().startswith("change:")]


def texts(figure: Any) -> list[str]:
    return [t.get_text() for t in figure.axes[0].texts]


def test_a_row_per_layer_with_both_sections() -> None:
    graph = lowered(conv_relu_pool_dense())
    layers = ["x", "conv_1", "relu_1", "pool", "conv_2", "relu_2", "flatten", "dense"]
    drawn = rows_of(graph)
    assert [row.layer for row in drawn.rows] == layers
    assert sum(len(row.tile) for row in drawn.rows) == len(graph.nodes(Section.TILE)), "every tile node has a row"
    assert drawn.edges[Section.REFERENCE] == [(i, i + 1) for i in range(7)]
    assert drawn.rows[1].form == "delta"
    assert drawn.rows[2].form == "value"
    assert drawn.rows[3].form == "value", "subtracting the reference behind it is plumbing"
    assert {(r.layer, r.kernel) for r in drawn.rows if r.kernel} == {
        ("conv_1", "toeplitz"), ("conv_2", "toeplitz"), ("dense", "kernel-rows"),
    }  # fmt: skip
    figure = graph_figure(graph)
    assert boxes(figure).count("reference:conv_1") == boxes(figure).count("tile:conv_1") == 1
    assert len(boxes(figure)) == 16
    assert any("[toeplitz]" in t for t in texts(figure))


def test_the_change_range_is_drawn_where_the_graph_says() -> None:
    graph = lowered(conv_relu_pool_dense())
    for change in (0, 5, 11):
        figure = graph_figure(graph, change=change)
        strips = {p.get_gid(): p for p in figure.axes[0].patches if p.get_gid() and p.get_gid().startswith("change:")}
        full = strips["change:dense"]
        start, width = full.get_x(), full.get_width()
        for node in graph.nodes(Section.REFERENCE):
            if node.op in ("conv", "max_pool"):
                assert node.has_window
                ranges, length = node.facts.state.ranges, node.facts.state.length
                strip = strips[f"change:{node.layer}"]
                found = np.array([strip.get_x() - start, strip.get_x() + strip.get_width() - start]) / width
                np.testing.assert_allclose(found, [ranges.lo[change] / length, ranges.hi[change] / length])
    assert "3 of 12" in texts(graph_figure(graph))
    assert "1 of 12" in texts(graph_figure(graph)), "the change itself"
    assert "all" in texts(graph_figure(graph))


def test_stops_and_skips() -> None:
    graph = lowered(residual_with_stop())
    figure = graph_figure(graph, title="mine")
    assert figure.axes[0].get_title(loc="left") == "mine"
    assert any(t.startswith("stop: ") for t in texts(figure))
    edges = rows_of(graph).edges[Section.REFERENCE]
    assert any(user > producer + 1 for producer, user in edges), "the skip connection"


def test_the_model_alone_before_the_passes() -> None:
    figure = graph_figure(conv_relu_pool_dense())
    assert not [b for b in boxes(figure) if b.startswith("tile:")]
    assert len(boxes(figure)) == 8


@pytest.mark.parametrize("name", ["attention", "shared_layers", "other_inputs_meet_first", "u_net"])
def test_real_models(name: str) -> None:
    graph = fc.compile(GRAPHS[name](), seq_input="seq", verify=False, jit=False).graph
    drawn = rows_of(graph)
    assert sum(len(r.tile) for r in drawn.rows) == len(graph.nodes(Section.TILE))
    placed = [n for r in drawn.rows for n in r.reference]
    assert len(placed) == len(set(placed))
    assert set(graph.outputs) <= set(placed)
    assert all(producer != user for pairs in drawn.edges.values() for producer, user in pairs)
    assert boxes(graph_figure(graph))


def test_a_shared_layer_has_a_row_per_call() -> None:
    graph = fc.compile(GRAPHS["shared_layers"](), verify=False, jit=False).graph
    layers = [row.layer for row in rows_of(graph).rows]
    assert len(layers) > len(set(layers))
