"""Convolutions over positions. Values are `[B, L, C]`; other layouts are transposed by the frontend.

conv:            kernel `[k, Cin/groups, Cout]`, attrs stride, dilation, groups, pad = (left, right)
depthwise_conv:  kernel `[k, C, multiplier]`, attrs stride, dilation, pad
conv_transpose:  kernel `[k, Cout, Cin]`, attrs stride, dilation, pad (cropped from the left), out_length
compose_kernels: kernels `[k1, Cin, C]` and `[k2, C, Cout]` of two `conv` in a row become that of one
                 (see `ir.composition`), attrs dilations and pads of the two
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastism_compiler.ir.composition import composed_dilation, composed_taps
from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.kernels.spec import Contraction, Geometry
from fastism_compiler.ir.ops.rule import (
    Attrs,
    Call,
    Effect,
    Geometries,
    Infer,
    Moves,
    OpRule,
    Stops,
    always,
    less_padding,
)
from fastism_compiler.ir.position_map import PositionMap
from fastism_compiler.ir.types import TensorType, promote


def _out_length(length: int, taps: int, attrs: Attrs) -> int:
    left, right = attrs["pad"]
    return (length + left + right - (taps - 1) * attrs["dilation"] - 1) // attrs["stride"] + 1


def _conv(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    value, kernel = operands
    if value.rank != 3 or kernel.rank != 3 or value.extent(2) != kernel.extent(1) * attrs["groups"]:
        raise ValueError(f"conv of {value} with kernel {kernel} in {attrs['groups']} groups")
    length = _out_length(value.extent(1), kernel.extent(0), attrs)
    return TensorType((value.shape[0], length, kernel.extent(2)), promote(operands))


def depthwise_type(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    """The result type of `depthwise_conv(value, kernel)`."""
    value, kernel = operands
    if value.rank != 3 or kernel.rank != 3 or value.extent(2) != kernel.extent(1):
        raise ValueError(f"depthwise_conv of {value} with kernel {kernel}")
    length = _out_length(value.extent(1), kernel.extent(0), attrs)
    return TensorType((value.shape[0], length, kernel.extent(1) * kernel.extent(2)), promote(operands))


def _transpose(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    value, kernel = operands
    if value.rank != 3 or kernel.rank != 3 or value.extent(2) != kernel.extent(2):
        raise ValueError(f"conv_transpose of {value} with kernel {kernel}")
    return TensorType((value.shape[0], attrs["out_length"], kernel.extent(1)), promote(operands))


def _track(call: Call, operand: int, axis: int) -> Effect:
    value, kernel = call.operands
    if operand != 0:
        return Stops("the kernel itself depends on the sequence")
    if axis != 1:
        return Stops("the convolution runs over another axis than the positions")
    scatter = "out_length" in call.attrs
    return Moves(
        1,
        PositionMap(
            value.extent(1),
            call.result.extent(1),
            stride=call.attrs["stride"],
            dilation=call.attrs["dilation"],
            taps=kernel.extent(0),
            pad=call.attrs["pad"] if scatter else call.attrs["pad"][0],
            scatter=scatter,
        ),
    )


def _tap_work(call: Call, axis: int) -> int:
    return call.operands[1].row_size // call.operands[1].extent(0)


def _conv_geometry(call: Call, axis: int | None) -> Geometry:
    attrs = call.attrs
    plain = axis is not None and attrs["stride"] == 1 and attrs["groups"] == 1
    kind = Contraction.CONVOLUTION if plain else Contraction.OTHER
    taps, channels, filters = (call.operands[1].extent(i) for i in range(3))
    return Geometry(kind, taps, channels, filters, attrs["dilation"], groups=attrs["groups"])


def _depthwise_geometry(call: Call, axis: int | None) -> Geometry:
    """A group for each channel."""
    taps, channels, multiplier = (call.operands[1].extent(i) for i in range(3))
    return Geometry(Contraction.OTHER, taps, 1, channels * multiplier, call.attrs["dilation"], groups=channels)


def _transposed_geometry(call: Call, axis: int | None) -> Geometry:
    kind = Contraction.OTHER if axis is None else Contraction.TRANSPOSED
    taps, filters, channels = (call.operands[1].extent(i) for i in range(3))
    return Geometry(kind, taps, channels, filters, call.attrs["dilation"], call.attrs["stride"])


def _composed(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    first, second = operands
    if first.rank != 3 or second.rank != 3 or first.extent(2) != second.extent(1):
        raise ValueError(f"kernel {first} in front of kernel {second}")
    taps, dilations = (first.extent(0), second.extent(0)), attrs["dilations"]
    count = composed_taps(taps, dilations, composed_dilation(taps, dilations))
    return TensorType((count, first.extent(1), second.extent(2)), promote(operands))


def _no_positions(call: Call, operand: int, axis: int) -> Effect:
    return Stops("a kernel has no positions of the sequence")


def _rule(kind: str, infer: Infer, geometry: Geometries, **options: Any) -> OpRule:
    return OpRule(
        kind, LayerClass.LOCAL, infer, _track, always, _tap_work, contraction=True, geometry=geometry, **options
    )


RULES = (
    _rule("conv", _conv, _conv_geometry, composes="compose_kernels", cut=less_padding(_track)),
    OpRule("compose_kernels", LayerClass.CONSTANT, _composed, _no_positions),
    _rule("depthwise_conv", depthwise_type, _depthwise_geometry, cut=less_padding(_track)),
    _rule("conv_transpose", _transpose, _transposed_geometry),
)
