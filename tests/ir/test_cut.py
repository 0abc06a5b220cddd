"""Cutting a model in two at a node that everything passes through."""

from __future__ import annotations

import pytest
from fastism_compiler.ir import Graph, TensorType
from fastism_compiler.ir.cut import back, front, necks
from fastism_compiler.ir.errors import IRError

ROWS = TensorType((None, 8, 4), "float32")


def residual() -> Graph:
    """Two outputs behind a residual block, and an input of its own for one of them."""
    graph = Graph("residual")
    x, other = (graph.add("input", (), {"index": i, "input": n}, type=ROWS, name=n) for i, n in enumerate("xy"))
    graph.inputs, graph.sequence = [x, other], x
    stem = graph.add("relu", (x,), name="stem")
    left = graph.add("tanh", (stem,), name="left")
    total = graph.add("add", (left, stem), name="total")
    last = graph.add("relu", (total,), name="last")
    graph.add("tanh", (stem,), name="unused")
    graph.outputs = [graph.add("tanh", (last,), name="one"), graph.add("add", (last, other), name="two")]
    return graph


def test_what_everything_passes_through() -> None:
    assert [n.name for n in necks(residual())] == ["stem", "total", "last"]


def test_nothing_behind_an_output_carries_all() -> None:
    graph = residual()
    total = next(n for n in graph if n.name == "total")
    graph.outputs.append(total)
    assert [n.name for n in necks(graph)] == ["stem"]


def test_both_halves() -> None:
    graph = residual()
    first, second = front(graph, "total"), back(graph, "total")
    assert [n.name for n in first] == ["x", "y", "stem", "left", "total"]
    assert [n.name for n in first.outputs] == ["total"]
    assert second.sequence is second.inputs[0] and second.sequence.type == ROWS
    assert sorted(n.op for n in second) == ["add", "input", "input", "relu", "tanh"]
    assert [n.name for n in second.outputs] == ["one", "two"]
    assert [n.name for n in graph.inputs] == ["x", "y"], "the model stays as it is"


def test_a_path_past_the_cut_is_refused() -> None:
    with pytest.raises(IRError, match="past this node"):
        back(residual(), "left")


def test_a_graph_without_a_sequence_is_refused() -> None:
    graph = residual()
    graph.sequence = None
    with pytest.raises(IRError, match="no sequence"):
        necks(graph)


def test_outputs_that_do_not_depend_on_the_sequence_have_no_neck() -> None:
    graph = residual()
    graph.outputs = [graph.add("relu", (graph.inputs[1],))]
    assert necks(graph) == []
