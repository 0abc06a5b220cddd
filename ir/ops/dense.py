"""dense: contraction of the last axis with a kernel `[in, out]`.

Over channels it acts on each position alone; over a flattened
position-by-channel axis it reads only the changed rows of the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.kernels.spec import Contraction, Geometry
from fastism_compiler.ir.ops.rule import Aggregates, Attrs, Call, Effect, Moves, OpRule, Stops, always, same_attrs
from fastism_compiler.ir.position_map import PositionMap, identity
from fastism_compiler.ir.types import TensorType, promote


def _infer(operands: Sequence[TensorType], attrs: Attrs) -> TensorType:
    value, kernel = operands
    if kernel.rank != 2 or value.rank < 2 or value.extent(value.rank - 1) != kernel.extent(0):
        raise ValueError(f"dense of {value} with kernel {kernel}")
    return TensorType((*value.shape[:-1], kernel.extent(1)), promote(operands))


def _track(call: Call, operand: int, axis: int) -> Effect:
    value, _kernel = call.operands
    if operand != 0:
        return Stops("the kernel itself depends on the sequence")
    length = value.extent(axis)
    if axis == value.rank - 1:
        return Aggregates(PositionMap(length, 1, taps=length))
    return Moves(axis, identity(length))


def _work(call: Call, axis: int) -> int:
    """A row of the kernel where positions are contracted, all of it where they are not; times the other axes."""
    value, kernel = call.operands
    last = value.rank - 1
    per_position = kernel.extent(1) if axis == last else kernel.row_size
    return per_position * math.prod(value.extent(i) for i in range(1, last) if i != axis)


def _geometry(call: Call, axis: int | None) -> Geometry:
    """Over positions, each of them a channel of its own; or over the channels of one position at a time."""
    value, kernel = call.operands
    inputs, outputs = kernel.extent(0), kernel.extent(1)
    if axis == value.rank - 1:
        return Geometry(Contraction.POSITIONS, inputs, 1, outputs)
    return Geometry(Contraction.OTHER, 1, inputs, outputs)


RULES = (
    OpRule(
        "dense",
        LayerClass.LOCAL,
        _infer,
        _track,
        always,
        _work,
        contraction=True,
        geometry=_geometry,
        cut=same_attrs,
    ),
)
