"""Lowering rules for convolutions and pooling: 1D, and 2D that move along one axis only."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import keras

from fastism_compiler.frontend.builder import Builder, Decline
from fastism_compiler.frontend.keras.activations import apply_activation
from fastism_compiler.frontend.keras.kernels import kernel_node
from fastism_compiler.ir import Node, same_padding

L = keras.layers


def _padding(layer: Any, length: int, size: int, stride: int, dilation: int) -> tuple[int, int]:
    """(left, right) for `valid`, `same` and `causal`."""
    if layer.padding == "same":
        return same_padding(length, size, stride, dilation)[1:]
    return ((size - 1) * dilation, 0) if layer.padding == "causal" else (0, 0)


def _channels_last(builder: Builder, layer: Any, x: Node, body: Callable[[Node], Node]) -> Node:
    """Run `body` on a channels-last view of `x`."""
    if layer.data_format == "channels_last":
        return body(x)
    axes = list(range(x.type.rank))
    there = (0, *axes[2:], 1)
    back = (0, axes[-1], *axes[1:-1])
    return builder.add("transpose", body(builder.add("transpose", x, perm=there)), perm=back)


def _finish(builder: Builder, layer: Any, x: Node) -> Node:
    if layer.use_bias:
        x = builder.add("add", x, builder.parameter(layer.bias))
    return x


def conv1d(builder: Builder, layer: Any, x: Node) -> Node:
    """Conv1D: convolution, bias, activation."""

    def body(x: Node) -> Node:
        kernel = kernel_node(builder, layer)
        attrs = _geometry(layer, x.type.extent(1), kernel.type.extent(0))
        return _finish(builder, layer, builder.add("conv", x, kernel, groups=layer.groups, **attrs))

    return apply_activation(builder, layer.activation, _channels_last(builder, layer, x, body))


def _geometry(layer: Any, length: int, taps: int, axis: int = 0) -> dict[str, Any]:
    stride, dilation = layer.strides[axis], layer.dilation_rate[axis]
    return {"stride": stride, "dilation": dilation, "pad": _padding(layer, length, taps, stride, dilation)}


def depthwise_conv1d(builder: Builder, layer: Any, x: Node) -> Node:
    """DepthwiseConv1D: kernel `[k, C, multiplier]`."""

    def body(x: Node) -> Node:
        kernel = kernel_node(builder, layer)
        attrs = _geometry(layer, x.type.extent(1), kernel.type.extent(0))
        return _finish(builder, layer, builder.add("depthwise_conv", x, kernel, **attrs))

    return apply_activation(builder, layer.activation, _channels_last(builder, layer, x, body))


def separable_conv1d(builder: Builder, layer: Any, x: Node) -> Node:
    """SeparableConv1D: depthwise, then pointwise; `canonicalize` splits it."""
    if layer.padding == "causal":
        raise Decline("causal separable convolutions are left to Keras")

    def body(x: Node) -> Node:
        depthwise = builder.node(layer.depthwise_kernel)
        pointwise = builder.node(layer.pointwise_kernel)
        attrs = _geometry(layer, x.type.extent(1), depthwise.type.extent(0))
        return _finish(builder, layer, builder.add("separable_conv", x, depthwise, pointwise, **attrs))

    return apply_activation(builder, layer.activation, _channels_last(builder, layer, x, body))


def _transposed_attrs(layer: Any, length: int, taps: int, axis: int) -> dict[str, Any]:
    """Output length and left crop of a transposed convolution (TensorFlow's gradient rule)."""
    stride, dilation = layer.strides[axis], layer.dilation_rate[axis]
    extra = layer.output_padding
    extra = extra[axis] if isinstance(extra, tuple | list) else extra
    reach = (taps - 1) * dilation + 1
    if layer.padding == "valid":
        out_length = (length - 1) * stride + reach + (max(reach, stride) - reach if extra is None else extra)
        pad = 0
    else:
        out_length = length * stride if extra is None else (length - 1) * stride + reach % 2 + extra
        pad = max((length - 1) * stride + reach - out_length, 0) // 2
    return {"stride": stride, "dilation": dilation, "pad": pad, "out_length": out_length}


def depthwise_conv2d(builder: Builder, layer: Any, x: Node) -> Node:
    """DepthwiseConv2D over `(L, 1, C)` or `(1, L, C)`: kernel `[kh, kw, C, multiplier]`."""

    def body(x: Node) -> Node:
        return _finish(
            builder, layer, _along_one_axis(builder, layer, x, "depthwise_conv", kernel_node(builder, layer))
        )

    return apply_activation(builder, layer.activation, _channels_last(builder, layer, x, body))


def separable_conv2d(builder: Builder, layer: Any, x: Node) -> Node:
    """SeparableConv2D over `(L, 1, C)` or `(1, L, C)`."""

    def body(x: Node) -> Node:
        depthwise, pointwise = builder.node(layer.depthwise_kernel), builder.node(layer.pointwise_kernel)
        across = builder.add("reshape", pointwise, shape=(1, *pointwise.type.shape[2:]))
        return _finish(builder, layer, _along_one_axis(builder, layer, x, "separable_conv", depthwise, across))

    return apply_activation(builder, layer.activation, _channels_last(builder, layer, x, body))


def _along_one_axis(builder: Builder, layer: Any, x: Node, op: str, kernel: Node, *rest: Node) -> Node:
    """A depthwise convolution of two axes, one of which has one element and one tap."""
    along = 1 if x.type.extent(2) == kernel.type.extent(1) == 1 else 2
    spare = 3 - along
    if x.type.extent(spare) != 1 or kernel.type.extent(spare - 1) != 1:
        raise Decline("a 2D kernel that moves along both axes")
    taps, *depth = (kernel.type.extent(i) for i in (along - 1, 2, 3))
    length, channels = x.type.extent(along), x.type.extent(3)
    flat = builder.add("reshape", x, shape=(length, channels))
    weights = builder.add("reshape", kernel, shape=(taps, *depth))
    y = builder.add(op, flat, weights, *rest, **_geometry(layer, length, taps, axis=along - 1))
    shape = (y.type.extent(1), 1) if along == 1 else (1, y.type.extent(1))
    return builder.add("reshape", y, shape=(*shape, y.type.extent(2)))


def conv1d_transpose(builder: Builder, layer: Any, x: Node) -> Node:
    """Conv1DTranspose: kernel `[k, Cout, Cin]`."""

    def body(x: Node) -> Node:
        kernel = kernel_node(builder, layer)
        attrs = _transposed_attrs(layer, x.type.extent(1), kernel.type.extent(0), 0)
        return _finish(builder, layer, builder.add("conv_transpose", x, kernel, **attrs))

    return apply_activation(builder, layer.activation, _channels_last(builder, layer, x, body))


def _spare_axis(x: Node, kernel: Node, valid: bool) -> int:
    """Which spatial axis of `[B, H, W, C]` a 2D kernel covers whole: 2 or 1."""
    for axis in (2, 1):
        extent, taps = x.type.extent(axis), kernel.type.extent(axis - 1)
        if taps == extent and (valid or extent == 1):
            return axis
    raise Decline("a 2D kernel that moves along both axes")


def conv2d(builder: Builder, layer: Any, x: Node) -> Node:
    """Conv2D over `(L, 1, C)`, `(1, L, C)`, or `(L, C, 1)` with a kernel as wide as C."""
    if layer.groups != 1:
        raise Decline("a grouped 2D convolution")

    def body(x: Node) -> Node:
        kernel = kernel_node(builder, layer)
        spare = _spare_axis(x, kernel, layer.padding == "valid")
        along = 3 - spare
        taps, filters = kernel.type.extent(along - 1), kernel.type.extent(3)
        if along == 2:
            x = builder.add("transpose", x, perm=(0, 2, 1, 3))
            kernel = builder.add("transpose", kernel, perm=(1, 0, 2, 3))
        length, width, channels = (x.type.extent(i) for i in (1, 2, 3))
        attrs = _geometry(layer, length, taps, axis=along - 1)
        flat = builder.add("reshape", x, shape=(length, width * channels))
        weights = builder.add("reshape", kernel, shape=(taps, width * channels, filters))
        y = builder.add("conv", flat, weights, groups=1, **attrs)
        shape = (y.type.extent(1), 1) if along == 1 else (1, y.type.extent(1))
        return _finish(builder, layer, builder.add("reshape", y, shape=(*shape, filters)))

    return apply_activation(builder, layer.activation, _channels_last(builder, layer, x, body))


def conv2d_transpose(builder: Builder, layer: Any, x: Node) -> Node:
    """Conv2DTranspose over `(L, 1, C)` or `(1, L, C)` with a kernel of 1 across."""

    def body(x: Node) -> Node:
        kernel = kernel_node(builder, layer)
        spare = 2 if x.type.extent(2) == 1 and kernel.type.extent(1) == 1 and layer.strides[1] == 1 else 1
        if x.type.extent(spare) != 1 or kernel.type.extent(spare - 1) != 1 or layer.strides[spare - 1] != 1:
            raise Decline("a transposed 2D kernel that moves along both axes")
        along = 3 - spare
        taps, filters, channels = (kernel.type.extent(i) for i in (along - 1, 2, 3))
        length = x.type.extent(along)
        attrs = _transposed_attrs(layer, length, taps, axis=along - 1)
        flat = builder.add("reshape", x, shape=(length, channels))
        weights = builder.add("reshape", kernel, shape=(taps, filters, channels))
        y = builder.add("conv_transpose", flat, weights, **attrs)
        shape = (y.type.extent(1), 1) if along == 1 else (1, y.type.extent(1))
        return _finish(builder, layer, builder.add("reshape", y, shape=(*shape, filters)))

    return apply_activation(builder, layer.activation, _channels_last(builder, layer, x, body))


def _pool(op: str, builder: Builder, layer: Any, x: Node, axis: int = 0) -> Node:
    size, stride = layer.pool_size[axis], layer.strides[axis]
    pad = same_padding(x.type.extent(1), size, stride)[1:] if layer.padding == "same" else (0, 0)
    return builder.add(op, x, size=size, stride=stride, pad=pad)


def pooling1d(op: str) -> Callable[..., Node]:
    """MaxPooling1D and AveragePooling1D."""

    def rule(builder: Builder, layer: Any, x: Node) -> Node:
        return _channels_last(builder, layer, x, lambda x: _pool(op, builder, layer, x))

    return rule


def pooling2d(op: str) -> Callable[..., Node]:
    """MaxPooling2D and AveragePooling2D over `(L, 1, C)` or `(1, L, C)`."""

    def rule(builder: Builder, layer: Any, x: Node) -> Node:
        def body(x: Node) -> Node:
            along = 1 if layer.pool_size[1] == 1 and layer.strides[1] == 1 else 2
            if layer.pool_size[2 - along] != 1 or layer.strides[2 - along] != 1 or x.type.extent(3 - along) != 1:
                raise Decline("a 2D pool that moves along both axes")
            length, channels = x.type.extent(along), x.type.extent(3)
            y = _pool(op, builder, layer, builder.add("reshape", x, shape=(length, channels)), axis=along - 1)
            shape = (y.type.extent(1), 1) if along == 1 else (1, y.type.extent(1))
            return builder.add("reshape", y, shape=(*shape, channels))

        return _channels_last(builder, layer, x, body)

    return rule


def adaptive_pooling(op: str) -> Callable[..., Node]:
    """AdaptiveMaxPooling1D and AdaptiveAveragePooling1D, and both as operations, into blocks of one size."""

    def rule(builder: Builder, layer: Any, x: Node) -> Node:
        def body(x: Node) -> Node:
            (count,) = (layer.output_size,) if isinstance(layer.output_size, int) else tuple(layer.output_size)
            if x.type.extent(1) % count:
                raise Decline(f"pooling {x.type.extent(1)} positions into {count} blocks of different size")
            size = x.type.extent(1) // count
            return builder.add(op, x, size=size, stride=size, pad=(0, 0))

        if x.type.rank != 3:
            raise Decline("adaptive pooling of more than one axis")
        return _channels_last(builder, layer, x, body)

    return rule


LAYERS: dict[type, Callable[..., Any]] = {
    L.Conv1D: conv1d,
    L.DepthwiseConv1D: depthwise_conv1d,
    L.SeparableConv1D: separable_conv1d,
    L.Conv1DTranspose: conv1d_transpose,
    L.Conv2D: conv2d,
    L.Conv2DTranspose: conv2d_transpose,
    L.DepthwiseConv2D: depthwise_conv2d,
    L.SeparableConv2D: separable_conv2d,
    L.MaxPooling1D: pooling1d("max_pool"),
    L.AveragePooling1D: pooling1d("avg_pool"),
    L.MaxPooling2D: pooling2d("max_pool"),
    L.AveragePooling2D: pooling2d("avg_pool"),
}
"""Keras layer class -> lowering rule."""


def _as_layer(operation: Any, x: Node, **kernels: Node) -> Any:
    """An operation's arguments under the names that layers have for them."""

    def per_axis(value: Any) -> tuple[int, ...]:
        return (value,) * (x.type.rank - 2) if isinstance(value, int) else tuple(value)

    given = vars(operation)
    return SimpleNamespace(
        **kernels,
        use_bias=False,
        activation=None,
        padding=operation.padding,
        data_format=operation.data_format or keras.config.image_data_format(),
        strides=per_axis(operation.strides or given.get("pool_size", 1)),
        dilation_rate=per_axis(given.get("dilation_rate", 1)),
        output_padding=given.get("output_padding"),
        pool_size=per_axis(given.get("pool_size", 1)),
    )


def conv_operation(builder: Builder, operation: Any, x: Node, kernel: Any) -> Node:
    """conv, 1D, or 2D along one axis; the number of groups follows from the kernel."""
    weights = builder.node(kernel)
    layer = _as_layer(operation, x, kernel=weights)
    channels = x.type.extent(x.type.rank - 1 if layer.data_format == "channels_last" else 1)
    layer.groups = channels // weights.type.extent(weights.type.rank - 2)
    return _by_rank(x, conv1d, conv2d)(builder, layer, x)


def depthwise_operation(builder: Builder, operation: Any, x: Node, kernel: Any) -> Node:
    """depthwise_conv, 1D, or 2D along one axis."""
    return _by_rank(x, depthwise_conv1d, depthwise_conv2d)(
        builder, _as_layer(operation, x, kernel=builder.node(kernel)), x
    )


def separable_operation(builder: Builder, operation: Any, x: Node, depthwise: Any, pointwise: Any) -> Node:
    """separable_conv, 1D, or 2D along one axis."""
    kernels = {"depthwise_kernel": builder.node(depthwise), "pointwise_kernel": builder.node(pointwise)}
    return _by_rank(x, separable_conv1d, separable_conv2d)(builder, _as_layer(operation, x, **kernels), x)


def transposed_operation(builder: Builder, operation: Any, x: Node, kernel: Any) -> Node:
    """conv_transpose, 1D, or 2D along one axis."""
    layer = _as_layer(operation, x, kernel=builder.node(kernel))
    return _by_rank(x, conv1d_transpose, conv2d_transpose)(builder, layer, x)


def pool_operation(op: str) -> Callable[..., Node]:
    """max_pool and average_pool."""

    def rule(builder: Builder, operation: Any, x: Node) -> Node:
        return _by_rank(x, pooling1d(op), pooling2d(op))(builder, _as_layer(operation, x), x)

    return rule


def _by_rank(x: Node, *rules: Callable[..., Node]) -> Callable[..., Node]:
    """The rule for one spatial axis, or for two."""
    if not 0 <= x.type.rank - 3 < len(rules):
        raise Decline(f"a value of {x.type.rank} axes")
    return rules[x.type.rank - 3]


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Conv": conv_operation,
    "DepthwiseConv": depthwise_operation,
    "SeparableConv": separable_operation,
    "ConvTranspose": transposed_operation,
    "MaxPool": pool_operation("max_pool"),
    "AveragePool": pool_operation("avg_pool"),
    "AdaptiveMaxPool": adaptive_pooling("max_pool"),
    "AdaptiveAveragePool": adaptive_pooling("avg_pool"),
}
"""Class name of a `keras.ops` operation -> lowering rule."""
