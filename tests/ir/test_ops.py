"""Every op has a rule and an emitter; every rule refuses what it cannot take."""

from __future__ import annotations

import pytest
from fastism_compiler.ir import BATCH, PositionMap, TensorType
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.ops import MACRO_OPS, RULES, TILE_OPS, Aggregates, Call, Moves, Stops, infer_type

from fastism_compiler.emit.ops import OPS
from fastism_compiler.emit.tile import TILE

LEAVES = {"input", "parameter", "literal"}


Shape = tuple[int, ...]


def f32(*shape: int | None) -> TensorType:
    return TensorType(shape, "float32")


def test_rules_and_emitters_have_the_same_keys() -> None:
    bound = {kind for kind, rule in RULES.items() if rule.opaque}
    assert set(RULES) - LEAVES - MACRO_OPS - TILE_OPS - bound == set(OPS)
    assert set(TILE) >= TILE_OPS
    assert set(TILE) <= set(RULES)


X = f32(BATCH, 10, 4)


@pytest.mark.parametrize(
    ("op", "operands", "attrs"),
    [
        ("conv", [X, f32(3, 5, 2)], {"stride": 1, "dilation": 1, "groups": 1, "pad": (0, 0)}),
        ("depthwise_conv", [X, f32(3, 5, 2)], {"stride": 1, "dilation": 1, "pad": (0, 0)}),
        ("conv_transpose", [X, f32(3, 2, 5)], {"stride": 1, "dilation": 1, "pad": 0, "out_length": 12}),
        ("compose_kernels", [f32(3, 4, 6), f32(3, 4, 6)], {"dilations": (1, 1), "pads": ((0, 0), (0, 0))}),
        ("dense", [X, f32(5, 2)], {}),
        ("max_pool", [f32(BATCH, 4)], {"size": 2, "stride": 2, "pad": (0, 0)}),
        ("reduce_mean", [X], {"axes": (0,), "keepdims": False}),
        ("slice", [X], {"axis": 1, "begin": 4, "end": 12}),
        ("concat", [X, f32(BATCH, 9, 4)], {"axis": 2}),
        ("transpose", [X], {"perm": (1, 0, 2)}),
        ("reshape", [X], {"shape": (7,)}),
        ("add", [X, f32(BATCH, 7, 4)], {}),
        ("parameter", [], {}),
    ],
)
def test_bad_operands_are_refused(op: str, operands: list[TensorType], attrs: dict[str, object]) -> None:
    with pytest.raises(IRError, match="does not take these operands"):
        infer_type(op, operands, attrs)


def effect(op: str, operands: list[TensorType], attrs: dict[str, object], operand: int = 0, axis: int = 1) -> object:
    call = Call(attrs, tuple(operands), infer_type(op, operands, attrs))
    return RULES[op].track(call, operand, axis)


def test_kernels_that_change_stop() -> None:
    conv = {"stride": 1, "dilation": 1, "groups": 1, "pad": (0, 0)}
    assert isinstance(effect("conv", [X, f32(3, 4, 2)], conv, operand=1), Stops)
    assert isinstance(effect("conv", [X, f32(3, 4, 2)], conv, axis=2), Stops)
    assert isinstance(effect("compose_kernels", [f32(3, 4, 6), f32(3, 6, 4)], {"dilations": (1, 1)}), Stops)
    assert isinstance(effect("dense", [X, f32(4, 2)], {}, operand=1), Stops)
    assert isinstance(effect("max_pool", [X], {"size": 2, "stride": 2, "pad": (0, 0)}, axis=2), Stops)
    assert isinstance(effect("softmax", [X], {"axes": (1,)}), Stops)
    assert isinstance(effect("keras_call", [X], {"what": "X", "shape": (None,), "dtype": "float32"}), Stops)
    assert isinstance(effect("add", [f32(BATCH, 1, 4), X], {}), Stops)
    assert isinstance(effect("broadcast", [f32(BATCH, 1, 4)], {"shape": (5, 4)}), Stops)


def test_reductions_drop_axes() -> None:
    assert isinstance(effect("reduce_sum", [X], {"axes": (1,), "keepdims": False}), Aggregates)
    moved = effect("reduce_sum", [f32(BATCH, 2, 10, 4)], {"axes": (1,), "keepdims": False}, axis=2)
    assert isinstance(moved, Moves)
    assert moved.axis == 1
    assert infer_type("reduce_sum", [X], {"axes": (1,), "keepdims": True}).shape == (BATCH, 1, 4)


@pytest.mark.parametrize(
    ("source", "shape", "axis", "expected"),
    [
        ((10, 4), (40,), 1, Moves(1, PositionMap(10, 40, stride=4, taps=4, scatter=True))),
        ((40,), (10, 4), 1, Moves(1, PositionMap(40, 10, stride=4, taps=4))),
        ((10, 4), (10, 1, 4), 1, Moves(1, PositionMap(10, 10))),
        ((10, 4), (1, 10, 4), 1, Moves(2, PositionMap(10, 10))),
        ((10, 1, 4), (10, 4), 1, Moves(1, PositionMap(10, 10))),
        ((10, 4), (10, 2, 2), 1, Moves(1, PositionMap(10, 10))),
        ((10, 4), (4, 10), 1, Stops("the reshape mixes positions with other axes")),
        ((4, 10), (4, 5, 2), 2, Moves(2, PositionMap(10, 5, stride=2, taps=2))),
    ],
)
def test_reshape_follows_positions(
    source: tuple[int, ...], shape: tuple[int, ...], axis: int, expected: object
) -> None:
    assert effect("reshape", [f32(BATCH, *source)], {"shape": shape}, axis=axis) == expected
