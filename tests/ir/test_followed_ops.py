"""Rules of the ops that followed functions are made of: where their windows go, and where they end."""

from __future__ import annotations

from typing import Any

import pytest
from fastism_compiler.ir import BATCH, TensorType
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.ops import RULES, Aggregates, Moves, Stops, infer_type
from fastism_compiler.ir.ops.rule import Call, Effect

from tests.passes.graphs import Tiny, run_until


def f32(*shape: int) -> TensorType:
    return TensorType((BATCH, *shape), "float32")


def effect(op: str, operands: list[TensorType], attrs: dict[str, Any], axis: int, operand: int = 0) -> Effect:
    call = Call(attrs, tuple(operands), infer_type(op, operands, attrs))
    return RULES[op].track(call, operand, axis)


def test_elementwise_calls_keep_positions_unless_they_are_broadcast() -> None:
    attrs = {"call": "f", "what": "Arctan2", "output": 0, "shape": (12, 4), "dtype": "float32"}
    moves = effect("elementwise_call", [f32(12, 4), f32(12, 1)], attrs, axis=1, operand=1)
    assert isinstance(moves, Moves) and moves.axis == 1
    assert isinstance(effect("elementwise_call", [f32(12, 4), f32(1, 4)], attrs, axis=1, operand=1), Stops)


def test_axis_calls_stop_on_the_axes_that_they_read() -> None:
    attrs = {"call": "f", "what": "Prod", "output": 0, "over": (1,), "reduces": True, "shape": (4,), "dtype": "float32"}
    stops = effect("axis_call", [f32(12, 4)], attrs, axis=1)
    assert isinstance(stops, Stops) and stops.reason == "Prod reads every position"
    moves = effect("axis_call", [f32(12, 4)], attrs, axis=2)
    assert isinstance(moves, Moves) and moves.axis == 1


def test_subsampling_another_axis_leaves_positions_alone() -> None:
    attrs = {"axis": 2, "step": 3}
    assert infer_type("subsample", [f32(12, 4)], attrs) == f32(12, 2)
    moves = effect("subsample", [f32(12, 4)], attrs, axis=1)
    assert isinstance(moves, Moves) and moves.map.stride == 1


def test_pools_by_softmax() -> None:
    attrs = {"axis": 1, "split": 3, "keepdims": False}
    assert infer_type("softmax_pool", [f32(12, 4)], attrs) == f32(3)
    assert isinstance(effect("softmax_pool", [f32(12, 4)], attrs, axis=1), Aggregates)
    assert isinstance(effect("softmax_pool", [f32(12, 4)], attrs, axis=2), Stops)
    beside = effect("softmax_pool", [f32(12, 5, 4)], {**attrs, "axis": 2}, axis=1)
    assert isinstance(beside, Moves) and beside.axis == 1
    with pytest.raises(IRError, match="softmax_pool of"):
        infer_type("softmax_pool", [f32(12, 5)], attrs)


def _weighted(axis: int, scores_channels: int, product: str = "multiply") -> list[str]:
    """The ops that a softmax-weighted sum is made of, once it is canonical."""
    t = Tiny()
    values = t.conv(t.x, 3)
    scores = t.conv(t.x, scores_channels)
    weights = t.op("softmax", scores, axes=(axis,))
    total = t.op("reduce_sum", t.op(product, values, weights), axes=(axis,), keepdims=False)
    return [n.op for n in run_until(t.finish(total), "canonicalize")]


def test_a_sum_weighted_by_a_softmax_over_positions_is_one_op() -> None:
    assert "softmax_pool" in _weighted(1, 1)
    assert "softmax_pool" in _weighted(1, 3)


@pytest.mark.parametrize(("axis", "channels", "product"), [(2, 3, "multiply"), (1, 3, "add")])
def test_other_sums_stay_what_they_are(axis: int, channels: int, product: str) -> None:
    assert "softmax_pool" not in _weighted(axis, channels, product)


def test_scores_need_channels_to_lie_beside_the_values() -> None:
    t = Tiny()
    values = t.op("transpose", t.conv(t.x, 3), perm=(0, 2, 1))
    weights = t.op("softmax", t.op("transpose", t.conv(t.x, 3), perm=(0, 2, 1)), axes=(2,))
    total = t.op("reduce_sum", t.op("multiply", values, weights), axes=(2,), keepdims=False)
    assert "softmax_pool" not in [n.op for n in run_until(t.finish(total), "canonicalize")]


@pytest.mark.parametrize("layer", ["softmax", "product", "total"])
def test_a_stop_inside_a_pool_by_softmax_stays(layer: str) -> None:
    t = Tiny()
    weights = t.op("softmax", t.conv(t.x, 1), layer="softmax", axes=(1,))
    product = t.op("multiply", t.conv(t.x, 3), weights, layer="product")
    graph = t.finish(t.op("reduce_sum", product, layer="total", axes=(1,), keepdims=False))
    ops = [n.op for n in run_until(graph, "canonicalize", stop_at=frozenset([layer]))]
    assert "softmax_pool" not in ops


def test_a_product_without_a_softmax_stays_one() -> None:
    t = Tiny()
    product = t.op("multiply", t.conv(t.x, 3), t.op("softmax", t.conv(t.x, 3), axes=(2,)))
    total = t.op("reduce_sum", product, axes=(1,), keepdims=False)
    recurrent = t.op(
        "recurrence", t.conv(t.x, 8), t.parameter(2, 8),
        cell="lstm", reverse=False, activation="tanh", recurrent_activation="sigmoid",
    )  # fmt: skip
    graph = run_until(t.finish(total, recurrent), "canonicalize")
    assert "softmax_pool" not in [n.op for n in graph]
