"""Pooling over positions of `[B, L, C]`: attrs size, stride, pad = (left, right)."""

from __future__ import annotations

from collections.abc import Sequence

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.kernels.spec import Contraction, Geometry
from fastism_compiler.ir.ops.rule import Attrs, Call, Effect, Moves, OpRule, Stops, always, less_padding
from fastism_compiler.ir.position_map import PositionMap
from fastism_compiler.ir.types import TensorType


def _infer(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    (value,) = operands
    if value.rank != 3:
        raise ValueError(f"pooling of {value}, which is not [B, L, C]")
    left, right = attrs["pad"]
    return value.with_extent(1, (value.extent(1) + left + right - attrs["size"]) // attrs["stride"] + 1)


def _track(call: Call, operand: int, axis: int) -> Effect:
    if axis != 1:
        return Stops("the pooling runs over another axis than the positions")
    attrs = call.attrs
    lengths = call.operands[0].extent(1), call.result.extent(1)
    return Moves(1, PositionMap(*lengths, stride=attrs["stride"], taps=attrs["size"], pad=attrs["pad"][0]))


def _geometry(call: Call, axis: int | None) -> Geometry:
    """Every channel by itself."""
    channels = call.result.extent(2)
    return Geometry(Contraction.OTHER, call.attrs["size"], 1, channels, groups=channels)


RULES = (
    OpRule(
        "max_pool",
        LayerClass.POOLING,
        _infer,
        _track,
        drops_nan=True,
        homogeneous=True,
        piecewise_linear=True,
        cut=less_padding(_track),
    ),
    OpRule(
        "avg_pool",
        LayerClass.POOLING,
        _infer,
        _track,
        always,
        contraction=True,
        geometry=_geometry,
        cut=less_padding(_track),
    ),
)
