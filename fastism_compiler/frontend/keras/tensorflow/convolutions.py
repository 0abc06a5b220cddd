"""TensorFlow's convolutions and pools: 1D ones run as 2D, with an axis of one element beside the positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from fastism_compiler.frontend.builder import Decline
from fastism_compiler.frontend.keras.tensorflow.call import Call, Phases, Rule


def _one_dimensional(call: Call, x: Any) -> tuple[Any, int]:
    """`[B, 1, L, C]` or `[B, L, 1, C]` without its axis of one element, and the number of the axis L.

    Raises:
        Decline: both axes have more elements.
    """
    for spare, along in ((1, 2), (2, 1)):
        if x.type.extent(spare) == 1 and call.shape[spare] == 1:
            shape = (x.type.extent(along), x.type.extent(3))
            return call.builder.add("reshape", x, shape=shape), along
    raise Decline(f"the TensorFlow operation {call.op.type} along two axes")


def _back(call: Call, x: Any) -> Any:
    return call.builder.add("reshape", x, shape=call.shape[1:])


def to_phases(call: Call) -> Any:
    """SpaceToBatchND: pad, and take every rate-th position as a sequence."""
    (rate,), ((before, after),) = call.constant(1).tolist(), call.constant(2).tolist()
    padded = call.apply(lambda t: ops.pad(t, [(0, 0), (before, after), (0, 0)]), call.operands[0])
    return Phases(padded, rate)


def from_phases(call: Call) -> Any:
    """BatchToSpaceND: positions in their order again, without the padding."""
    ((before, after),) = call.constant(2).tolist()
    x = call.operands[0].node
    return call.apply(lambda t: t[:, before : x.type.extent(1) - after], x)


def _convolved_phases(call: Call, function: Callable[..., Any], kernel: Any) -> Any:
    """A convolution of every phase is a dilated one of the sequence."""
    x, sizes = call.operands[0], tuple(call.op.inputs[1].shape)
    if call["padding"] != b"VALID" or set(call["strides"]) | set(call["dilations"]) != {1} or sizes[0] != 1:
        raise Decline(f"the TensorFlow operation {call.op.type} with strides and dilation")
    taps = _reshaped(call, kernel, sizes[1:])
    return Phases(call.apply(lambda t, k: function(t, k, padding="valid", dilation_rate=x.rate), x.node, taps), x.rate)


def _reshaped(call: Call, x: Any, shape: Sequence[int]) -> Any:
    """Weights, or a constant, in another shape."""
    return x.reshape(shape) if isinstance(x, np.ndarray) else call.builder.add("reshape", x, shape=tuple(shape))


def convolution(function: Callable[..., Any]) -> Rule:
    """Conv2D and its depthwise form along one axis, which is how TensorFlow does one-dimensional ones."""

    def rule(call: Call) -> Any:
        x, kernel = call.operands
        padding = call["padding"].decode().lower()
        if call["data_format"] != b"NHWC" or padding not in ("same", "valid"):
            raise Decline(f"the TensorFlow operation {call.op.type} with {padding} padding")
        sizes = tuple(call.op.inputs[1].shape)
        if isinstance(x, Phases):
            return _convolved_phases(call, function, kernel)
        flat, along = _one_dimensional(call, x)
        if sizes[2 - along] != 1:
            raise Decline(f"the TensorFlow operation {call.op.type} along two axes")
        taps = _reshaped(call, kernel, (sizes[along - 1], sizes[2], sizes[3]))
        stride, dilation = call["strides"][along], call["dilations"][along]
        made = call.apply(
            lambda t, k: function(t, k, strides=stride, padding=padding, dilation_rate=dilation), flat, taps
        )
        return _back(call, made)

    return rule


def pool(function: Callable[..., Any]) -> Rule:
    """MaxPool and AvgPool along one axis."""

    def rule(call: Call) -> Any:
        flat, along = _one_dimensional(call, call.operands[0])
        size, stride, padding = call["ksize"][along], call["strides"][along], call["padding"].decode().lower()
        if call["data_format"] != b"NHWC" or padding not in ("same", "valid"):
            raise Decline(f"the TensorFlow operation {call.op.type} with {padding} padding")
        return _back(call, call.apply(lambda t: function(t, size, stride, padding=padding), flat))

    return rule
