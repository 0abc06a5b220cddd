from __future__ import annotations

import pytest
from fastism_compiler.ir import BATCH, Graph, Node, Section, StageSpec, TensorType, to_dot, to_text, verify
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.types import broadcast, promote


def small() -> tuple[Graph, Node, Node, Node]:
    graph = Graph("small")
    x = graph.add("input", type=TensorType((BATCH, 9, 4), "float32"), name="x")
    graph.inputs, graph.sequence = [x], x
    y = graph.add("relu", [x])
    z = graph.add("add", [x, y])
    graph.outputs = [z]
    return graph, x, y, z


def test_order_operands_and_users() -> None:
    graph, x, y, z = small()
    assert [n.name for n in graph] == ["x", "relu", "add"]
    assert z.operands == (x, y)
    assert x.users == (y, z)
    assert graph.descendants(x) == {y, z}
    assert len(graph) == 3
    assert y in graph
    assert repr(y) == "<Node %relu = relu: f32[B,9,4]>"


def test_the_same_operand_twice() -> None:
    graph, x, _, _ = small()
    double = graph.add("add", [x, x])
    assert double.operands == (x, x)
    assert x.users.count(double) == 1


def test_replace_remove_prune() -> None:
    graph, x, y, z = small()
    new = graph.add("tanh", [x])
    graph.replace(y, new)
    assert z.operands == (x, new)
    graph.remove(y)
    graph.replace(z, new)
    assert graph.outputs == [new]
    assert graph.prune() == 1
    assert [n.op for n in graph] == ["input", "tanh"]


def test_replace_leaves_the_new_node_alone() -> None:
    graph, x, y, z = small()
    wrapped = graph.add("tanh", [y])
    graph.replace(y, wrapped)
    assert wrapped.operands == (y,)
    assert z.operands == (x, wrapped)


def test_remove_refuses_what_is_read() -> None:
    graph, _, y, z = small()
    for node in (y, z):
        with pytest.raises(IRError, match="nothing reads"):
            graph.remove(node)


def test_foreign_operands_unknown_ops_and_bad_types_are_refused() -> None:
    graph, x, _, _ = small()
    _, other, _, _ = small()
    with pytest.raises(IRError, match="same graph"):
        graph.add("relu", [other])
    with pytest.raises(IRError, match="op with a rule"):
        graph.add("frobnicate", [x])
    with pytest.raises(IRError, match="does not take these operands"):
        graph.add("dense", [x, x])


def test_a_cycle_is_refused() -> None:
    graph, _, y, z = small()
    graph.set_operand(y, 0, z)
    with pytest.raises(IRError, match="cycle"):
        graph.nodes()


def test_copy_is_independent() -> None:
    graph, _, _, z = small()
    twin = graph.copy()
    assert to_text(twin) == to_text(graph)
    twin.add("relu", [twin.outputs[0]])
    assert len(twin) == len(graph) + 1
    assert z not in twin


def test_names_stay_unique() -> None:
    graph, x, _, _ = small()
    assert [graph.add("relu", [x]).name for _ in range(2)] == ["relu.1", "relu.2"]


def test_text_is_canonical() -> None:
    graph, *_ = small()
    assert (
        str(graph)
        == to_text(graph)
        == (
            "graph @small(%x: f32[B,9,4]) {\n"
            "reference:\n"
            "  %relu : f32[B,9,4] users=1 = relu(%x)\n"
            "  %add : f32[B,9,4] users=1 = add(%x, %relu)\n"
            "return %add\n"
            "}\n"
        )
    )


def test_dot_draws_every_edge() -> None:
    graph, *_ = small()
    dot = to_dot(graph)
    assert dot.startswith('digraph "small"')
    assert dot.count("->") == 3
    assert "cluster_reference" in dot


def test_a_graph_lists_operands_and_users_of_a_node() -> None:
    graph, x, y, z = small()
    assert graph.operands(z) == [x, y]
    assert graph.users(x) == [y, z]


def test_types() -> None:
    t = TensorType((BATCH, 5, 3), "float64")
    assert (t.rank, t.batched, t.row_size, str(t)) == (3, True, 15, "f64[B,5,3]")
    assert t.with_extent(1, 7).shape == (BATCH, 7, 3)
    with pytest.raises(IndexError, match="batch"):
        t.extent(0)
    assert broadcast([t, TensorType((3,), "float32")]) == (BATCH, 5, 3)
    with pytest.raises(ValueError, match="broadcast"):
        broadcast([t, TensorType((BATCH, 3), "float32")])
    assert promote([TensorType((), "int32"), TensorType((), "bfloat16"), TensorType((), "float32")]) == "float32"
    assert promote([TensorType((), "bool")]) == "bool"


def test_verify_accepts_and_rejects() -> None:
    graph, x, y, z = small()
    verify(graph)
    graph.add("input_delta", [x], section=Section.TILE)
    with pytest.raises(IRError, match="only after a pass that promises a tile section"):
        verify(graph)
    graph, x, y, z = small()
    graph.add("realign", [x])
    with pytest.raises(IRError, match="tile section"):
        verify(graph)
    graph, x, y, z = small()
    y.type = TensorType((BATCH, 9, 5), "float32")
    with pytest.raises(IRError, match="what its rule infers"):
        verify(graph)
    graph, x, y, z = small()
    graph.sequence = y
    with pytest.raises(IRError, match="one of the inputs"):
        verify(graph)
    graph, x, y, z = small()
    y.name = "x"
    with pytest.raises(IRError, match="unique"):
        verify(graph)
    graph, x, y, z = small()
    y.op = "frobnicate"
    with pytest.raises(IRError, match="must have a rule"):
        verify(graph)
    graph, x, y, z = small()
    _, foreign, _, _ = small()
    graph.outputs.append(foreign)
    with pytest.raises(IRError, match="belong to the graph"):
        verify(graph)
    graph, x, y, z = small()
    tile = graph.add("input_delta", [x], section=Section.TILE)
    graph.set_operand(z, 1, tile)
    with pytest.raises(IRError, match="must not read a tile node"):
        verify(graph, [("lowering", StageSpec(lowered=True))])


def test_errors_have_four_parts_and_stay_short() -> None:
    _, _, y, _ = small()
    y.layer = "my_relu"
    message = str(IRError("the rule", expected="this", got="that", node=y))
    for part in ("the rule", "expected: this", "got:      that", "%relu = relu", "layer:    my_relu", "> %relu"):
        assert part in message
    assert len(message) < 1000
