"""Convolutions and pools: 1D, 2D that move along one axis only, and pointwise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from keras import ops

from fastism_compiler.frontend.builder import Decline
from fastism_compiler.frontend.onnx.call import Call, Rule
from fastism_compiler.frontend.onnx.operators.contractions import dense
from fastism_compiler.frontend.onnx.views import View, plain
from fastism_compiler.ir import Node, same_padding
from fastism_compiler.ir.position_map import ceil_div
from fastism_compiler.mutations.inputs import Array


@dataclass(frozen=True, slots=True)
class _Along:
    """The one axis that an operator moves along.

    Attributes:
        node: `[B, L, C]`; an axis that the kernel covers whole is part of the channels.
        place: which spatial axis the positions are on.
        spatial: how many of them there are.
    """

    node: Node
    place: int
    spatial: int

    def pick(self, sizes: Sequence[int] | None, default: int = 1) -> int:
        """The entry for this axis in a list with one number per spatial axis."""
        return int(sizes[self.place]) if sizes else default

    def pads(self, call: Call, reach: int, stride: int) -> tuple[int, int]:
        """Padding `(left, right)`; `reach` is the extent of the dilated kernel or the pool."""
        how, length = call.get("auto_pad", "NOTSET"), self.node.type.extent(1)
        if how == "NOTSET":
            pads = call.get("pads") or [0] * (2 * self.spatial)
            return int(pads[self.place]), int(pads[self.place + self.spatial])
        if how == "VALID":
            return 0, 0
        _, less, more = same_padding(length, reach, stride)
        return (less, more) if how == "SAME_UPPER" else (more, less)

    def back(self, node: Node) -> View:
        """The tensor `[B, C, ...]` of a node `[B, L, C]`."""
        axes = [(1,) if i == self.place else () for i in range(self.spatial)]
        return View(node, ((0,), (2,), *axes))


def _along(call: Call, kernel: Sequence[int], covers: bool = False) -> _Along:
    """Find the axis to move along: any other has one element and one tap, or (with `covers`) is as long as the kernel.

    Raises:
        Decline: no such axis.
    """
    view = call.view(0)
    spatial = view.rank - 2
    if spatial not in (1, 2) or view.axes[0] != (0,):
        raise Decline(f"a value of {view.rank} axes")
    pads, dilations = call.get("pads") or [0] * (2 * spatial), call.get("dilations") or [1] * spatial
    extra = call.get("output_padding") or [0] * spatial
    covers = covers and call.get("auto_pad", "NOTSET") in ("NOTSET", "VALID")  # SAME would pad a covered axis

    def is_spare(i: int) -> bool:
        whole = kernel[i] == view.extent(2 + i) and (covers or kernel[i] == 1)
        return whole and dilations[i] == 1 and pads[i] == pads[i + spatial] == extra[i] == 0

    for place in reversed(range(spatial)):
        spare = [i for i in range(spatial) if i != place]
        if all(is_spare(i) for i in spare):
            channels = view.axes[1] + tuple(a for i in spare for a in view.axes[2 + i])
            return _Along(plain(call.builder, View(view.node, ((0,), view.axes[2 + place], channels))), place, spatial)
    raise Decline(f"it moves along {spatial} axes, with a kernel of {' x '.join(map(str, kernel))}")


def _biased(call: Call, node: Node) -> Node:
    bias = call.constant(2)
    return node if bias is None else call.builder.add("add", node, bias)


def convolution(call: Call) -> View:
    """Conv: kernel `[O, I / groups, k]`."""
    kernel, groups = call.constant(1), call.get("group", 1)
    if groups == 1 and _has_one_tap(call, kernel):
        return _pointwise(call, kernel)
    along = _along(call, kernel.shape[2:], covers=groups == 1)
    filters, taps = len(kernel), kernel.shape[2 + along.place]
    stride, dilation = along.pick(call.get("strides")), along.pick(call.get("dilations"))
    geometry = {
        "stride": stride,
        "dilation": dilation,
        "pad": along.pads(call, (taps - 1) * dilation + 1, stride),
    }
    # the axis of positions last; what the kernel covers whole belongs to the channels
    flat = np.moveaxis(kernel, 2 + along.place, -1).reshape(filters, -1, taps)
    if flat.shape[1] == 1 and groups == along.node.type.extent(2) > 1:
        per_channel = flat.reshape(groups, filters // groups, taps)
        node = call.builder.add("depthwise_conv", along.node, _packed(per_channel.transpose(2, 0, 1)), **geometry)
    else:
        node = call.builder.add("conv", along.node, _packed(flat.transpose(2, 1, 0)), groups=groups, **geometry)
    return along.back(_biased(call, node))


def _has_one_tap(call: Call, kernel: Array) -> bool:
    """Whether this is a pointwise convolution (all taps 1, no strides, no pads) over several long axes."""
    view = call.view(0)
    wide = [axis for axis in range(2, view.rank) if view.extent(axis) > 1]
    plain_steps = not any(n != 1 for n in call.get("strides") or ()) and not any(call.get("pads") or ())
    return len(wide) > 1 and plain_steps and all(taps == 1 for taps in kernel.shape[2:])


def _pointwise(call: Call, kernel: Array) -> View:
    """A pointwise convolution: the channels of each position times a matrix."""
    view = call.view(0)
    spatial = range(2, view.rank)
    made = dense(call, view.permuted((0, *spatial, 1)), _packed(kernel.reshape(len(kernel), -1).T))
    made = made.permuted((0, view.rank - 1, *(axis - 1 for axis in spatial)))
    bias = call.constant(2)
    return made if bias is None else call.add("add", made, bias.reshape(-1, *[1] * len(spatial)))


def _packed(x: Array) -> Array:
    return np.ascontiguousarray(x)


def transposed(call: Call) -> View:
    """ConvTranspose: kernel `[I, O / groups, k]`."""
    kernel, groups = call.constant(1), call.get("group", 1)
    along = _along(call, kernel.shape[2:])
    taps, length = kernel.shape[2 + along.place], along.node.type.extent(1)
    stride, dilation = along.pick(call.get("strides")), along.pick(call.get("dilations"))
    reach = (taps - 1) * dilation + 1
    extra = along.pick(call.get("output_padding"), 0)
    if call.get("output_shape") or call.get("auto_pad", "NOTSET") != "NOTSET":
        raise Decline("padding that follows from the length of the result")
    left, right = along.pads(call, reach, stride)
    attrs = {
        "stride": stride,
        "dilation": dilation,
        "pad": left,
        "out_length": stride * (length - 1) + extra + reach - left - right,
    }
    flat = kernel.reshape(kernel.shape[0], kernel.shape[1], taps)
    share = len(flat) // groups
    parts = []
    for g in range(groups):
        x = along.node
        if groups > 1:
            x = call.builder.add("slice", x, axis=2, begin=g * share, end=(g + 1) * share)
        own = flat[g * share : (g + 1) * share]
        parts.append(call.builder.add("conv_transpose", x, _packed(own.transpose(2, 1, 0)), **attrs))
    return along.back(_biased(call, parts[0] if groups == 1 else call.builder.add("concat", *parts, axis=2)))


def _pooled(call: Call, along: _Along) -> tuple[int, int, tuple[int, int], int]:
    """The size, stride and pads of a pool, and the additional right pad of `ceil_mode`."""
    size, stride = along.pick(call.get("kernel_shape")), along.pick(call.get("strides"))
    left, right = along.pads(call, size, stride)
    rest = along.node.type.extent(1) + left + right - size
    if not call.get("ceil_mode", 0) or rest % stride == 0:
        return size, stride, (left, right), 0
    blocks = ceil_div(rest, stride) + 1
    if (blocks - 1) * stride >= along.node.type.extent(1) + left:  # a block has to begin inside
        return size, stride, (left, right), 0
    return size, stride, (left, right), (blocks - 1) * stride - rest


def _dilated_pool(call: Call, along: _Along, combine: Callable[[Sequence[Any]], Any]) -> View:
    """A pool of positions that lie apart, as its taps combined.

    Raises:
        Decline: one with padding.
    """
    size, stride = along.pick(call.get("kernel_shape")), along.pick(call.get("strides"))
    dilation = along.pick(call.get("dilations"))
    reach, length = (size - 1) * dilation + 1, along.node.type.extent(1)
    if along.pads(call, reach, stride) != (0, 0) or (call.get("ceil_mode", 0) and (length - reach) % stride):
        raise Decline("a padded pool of positions that lie apart")
    last = length - reach + 1
    taps = [slice(t * dilation, t * dilation + last, stride) for t in range(size)]
    return along.back(call.follow(lambda t: combine([t[:, tap] for tap in taps]), along.node))


def max_pool(call: Call) -> View:
    """MaxPool."""
    if call.results > 1:
        raise Decline("the places of the largest elements as a second result")
    along = _along(call, call.get("kernel_shape"))
    if along.pick(call.get("dilations")) != 1:
        return _dilated_pool(call, along, lambda taps: reduce(ops.maximum, taps))
    size, stride, (left, right), more = _pooled(call, along)
    return along.back(call.builder.add("max_pool", along.node, size=size, stride=stride, pad=(left, right + more)))


def average_pool(call: Call) -> View:
    """AveragePool."""
    along = _along(call, call.get("kernel_shape"))
    if along.pick(call.get("dilations")) != 1:
        return _dilated_pool(call, along, lambda taps: sum(taps) / len(taps))
    size, stride, (left, right), more = _pooled(call, along)
    node = along.node
    if call.get("count_include_pad", 0) and (left or right):
        node, left, right = call.builder.add("pad", node, axis=1, left=left, right=right), 0, 0
    return along.back(call.builder.add("avg_pool", node, size=size, stride=stride, pad=(left, right + more)))


OPERATORS: dict[str, Rule] = {
    "AveragePool": average_pool,
    "Conv": convolution,
    "ConvTranspose": transposed,
    "MaxPool": max_pool,
}
"""ONNX operator -> lowering rule."""
