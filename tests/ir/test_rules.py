"""Where each op's rule sends a window, axis by axis; what the rules refuse."""

from __future__ import annotations

import pytest
from fastism_compiler.ir import BATCH, Graph, Node, PositionMap, Section, TensorType
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.ops import RULES, Call, Effect, Moves, Resumes, Stops, infer_type
from fastism_compiler.ir.ops.leaves import RULES as LEAVES
from fastism_compiler.ir.queries import hiding_faults, map_of


def f32(*shape: int | None) -> TensorType:
    return TensorType(shape, "float32")


X = f32(BATCH, 10, 4)
TOKENS = TensorType((BATCH, 10), "int32")
LSTM = {"cell": "lstm", "reverse": True}
LOCAL = {"taps": 3, "stride": 1, "dilation": 1, "pad": (1, 1), "linear": True, "shape": (10, 2), "dtype": "float32"}


def effect(op: str, operands: list[TensorType], attrs: dict[str, object], operand: int = 0, axis: int = 1) -> Effect:
    call = Call(attrs, tuple(operands), infer_type(op, operands, attrs))
    return RULES[op].track(call, operand, axis)


def test_ops_on_another_axis_leave_positions_where_they_are() -> None:
    stay = Moves(1, PositionMap(10, 10))
    assert effect("slice", [X], {"axis": 2, "begin": 1, "end": 3}) == stay
    assert effect("pad", [X], {"axis": 2, "left": 1, "right": 0}) == stay
    assert effect("upsample", [X], {"axis": 2, "size": 2}) == stay
    assert effect("concat", [X, X], {"axis": 2}) == stay
    assert effect("broadcast", [f32(BATCH, 10, 1)], {"shape": (10, 4)}) == stay


def test_lookups_read_each_token_by_itself() -> None:
    assert effect("embedding", [TOKENS, f32(7, 3)], {}) == Moves(1, PositionMap(10, 10))
    assert effect("one_hot", [TOKENS], {"depth": 5, "dtype": "float32"}) == Moves(1, PositionMap(10, 10))
    assert isinstance(effect("embedding", [TOKENS, f32(7, 3)], {}, operand=1), Stops)


def test_lookups_know_how_many_tokens_there_are() -> None:
    table, depth = Call({}, (TOKENS, f32(7, 3)), X), Call({"depth": 5}, (TOKENS,), X)
    embedding, one_hot = RULES["embedding"].vocabulary, RULES["one_hot"].vocabulary
    assert embedding is not None
    assert one_hot is not None
    assert (embedding(table), one_hot(depth)) == (7, 5)


def test_recurrences_resume_along_positions_only() -> None:
    operands = [f32(BATCH, 10, 8), f32(2, 8)]
    assert effect("recurrence", operands, LSTM) == Resumes(10, reverse=True)
    assert isinstance(effect("recurrence", operands, LSTM, axis=2), Stops)
    assert isinstance(effect("recurrence", operands, LSTM, operand=1), Stops)
    assert infer_type("recurrent_states", operands, LSTM) == f32(BATCH, 11, 4)


def test_custom_layers_move_positions_as_declared() -> None:
    assert effect("custom_local", [X], LOCAL) == Moves(1, PositionMap(10, 10, taps=3, pad=1))
    assert isinstance(effect("custom_local", [X], LOCAL, axis=2), Stops)
    assert RULES["custom_local"].linear(Call(LOCAL, (X,), X), [True])


def test_what_never_moves_a_window_says_so() -> None:
    attention = [f32(BATCH, 10, 2, 3)] * 3
    assert isinstance(effect("attention", attention, {"scale": 1.0}), Stops)
    assert isinstance(effect("window_max", [X, X], {"axes": (1,), "keepdims": False}), Stops)
    assert isinstance(effect("batch_norm", [X, f32(4), f32(4)], {"axis": 2}), Stops)
    assert all(isinstance(rule.track(Call({}, (), X), 0, 1), Stops) for rule in LEAVES)


def test_select_takes_the_type_of_its_branches() -> None:
    condition = TensorType((BATCH, 10, 1), "bool")
    assert infer_type("select", [condition, X, X], {}) == X


@pytest.mark.parametrize(
    ("op", "operands", "attrs"),
    [
        ("embedding", [X, f32(7, 3)], {}),
        ("embedding", [TOKENS, f32(7)], {}),
        ("attention", [f32(BATCH, 10, 2, 3), f32(BATCH, 9, 2, 4), f32(BATCH, 9, 2, 5)], {"scale": 1.0}),
        ("attention", [X, X, X], {"scale": 1.0}),
        ("recurrence", [f32(BATCH, 10, 9), f32(2, 8)], LSTM),
        ("recurrence", [f32(BATCH, 10, 8), f32(2, 6)], LSTM),
    ],
)
def test_operands_that_do_not_fit_are_refused(op: str, operands: list[TensorType], attrs: dict[str, object]) -> None:
    with pytest.raises(IRError, match="does not take these operands"):
        infer_type(op, operands, attrs)


def _node(graph: Graph) -> Node:
    x = graph.add("input", type=X, name="x")
    return graph.add("softmax", [x], {"axes": (1,)})


def test_only_what_keeps_positions_has_a_map() -> None:
    graph = Graph()
    with pytest.raises(IRError, match="keeps positions"):
        map_of(_node(graph), 0, 1)


def test_windows_and_carriers_must_be_known_before_they_are_read() -> None:
    node = _node(Graph())
    with pytest.raises(IRError, match="a window is needed"):
        _ = node.window
    with pytest.raises(IRError, match="a carrier is needed"):
        _ = node.carrier


def test_nan_may_hide_behind_a_maximum_of_what_makes_it() -> None:
    graph = Graph()
    x = graph.add("input", type=X, name="x")
    over = {"axes": (1,), "keepdims": False}
    plain = graph.add("reduce_max", [x], over)
    log = graph.add("log", [x])
    behind = graph.add("reduce_max", [graph.add("relu", [log])], over)
    mean = graph.add("reduce_mean", [log], over)
    assert hiding_faults(graph, Section.REFERENCE) == [behind]
    assert hiding_faults(graph, Section.TILE) == []
    assert {plain, mean} <= set(graph)


def test_whole_numbers_hide_that_a_float_was_beyond_their_range() -> None:
    graph = Graph()
    x = graph.add("input", type=X, name="x")
    whole = graph.add("cast", [x], {"dtype": "int32"})
    back = graph.add("cast", [whole], {"dtype": "float32"})
    double = graph.add("cast", [x], {"dtype": "float64"})
    assert hiding_faults(graph, Section.REFERENCE) == [whole]
    assert {back, double} <= set(graph)
