"""Lowering rules for normalisations, as layers and as operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from fastism_compiler.frontend.builder import Builder, Decline
from fastism_compiler.frontend.keras.arrangements import inner_axes
from fastism_compiler.ir import Node


def batch_normalization(builder: Builder, layer: Any, x: Node) -> Node:
    """BatchNormalization in inference: moving statistics; `canonicalize` makes it affine."""
    scale, offset = (layer.gamma if layer.scale else None), (layer.beta if layer.center else None)
    return _batch_norm(builder, x, (layer.moving_mean, layer.moving_variance, scale, offset), layer.axis, layer.epsilon)


def batch_operation(
    builder: Builder, operation: Any, x: Node, mean: Any, variance: Any, offset: Any = None, scale: Any = None
) -> Node:
    """batch_normalization with given statistics."""
    return _batch_norm(builder, x, (mean, variance, scale, offset), operation.axis, operation.epsilon)


def _batch_norm(builder: Builder, x: Node, values: tuple[Any, Any, Any, Any], axis: Any, epsilon: Any) -> Node:
    nodes = [None if v is None else builder.node(v) for v in values]
    if any(n is not None and n.type.batched for n in nodes):
        raise Decline("statistics that depend on the sequence")
    return builder.add(
        "batch_norm",
        x,
        *[n for n in nodes if n is not None],
        axis=axis % x.type.rank,
        epsilon=float(epsilon),
        scale=values[2] is not None,
        center=values[3] is not None,
    )


def layer_normalization(builder: Builder, layer: Any, x: Node) -> Node:
    """LayerNormalization and layer_normalization: `(x - mean) * gamma / sqrt(variance + epsilon) + beta`."""
    return _layer_norm(builder, layer, x, layer.gamma, layer.beta)


def layer_operation(builder: Builder, operation: Any, x: Node, gamma: Any = None, beta: Any = None) -> Node:
    """layer_normalization."""
    return _layer_norm(builder, operation, x, gamma, beta)


def _layer_norm(builder: Builder, what: Any, x: Node, gamma: Any, beta: Any) -> Node:
    if getattr(what, "rms_scaling", False):
        raise Decline("LayerNormalization with rms_scaling")
    axes = inner_axes(builder, what.axis, x.type.rank, "a norm")
    mean = builder.add("reduce_mean", x, axes=axes, keepdims=True)
    centred = builder.add("subtract", x, mean)
    variance = builder.add("reduce_mean", builder.add("square", centred), axes=axes, keepdims=True)
    y = builder.add("multiply", centred, _inverse_root(builder, variance, what.epsilon))
    for op, value in (("multiply", gamma), ("add", beta)):
        if value is not None:
            y = builder.add(op, y, _over_axes(builder, value, axes, x.type.rank))
    return y


def rms_normalization(builder: Builder, layer: Any, x: Node) -> Node:
    """RMSNormalization: `x / sqrt(mean(x^2) + epsilon) * scale`."""
    return rms_operation(builder, layer, x, layer.scale)


def rms_operation(builder: Builder, operation: Any, x: Node, scale: Any = None) -> Node:
    """rms_normalization."""
    axes = inner_axes(builder, operation.axis, x.type.rank, "a norm")
    power = builder.add("reduce_mean", builder.add("square", x), axes=axes, keepdims=True)
    y = builder.add("multiply", x, _inverse_root(builder, power, operation.epsilon))
    return y if scale is None else builder.add("multiply", y, _over_axes(builder, scale, axes, x.type.rank))


def unit_normalization(builder: Builder, layer: Any, x: Node) -> Node:
    """UnitNormalization: `x / sqrt(max(sum(x^2), 1e-12))`."""
    axes = inner_axes(builder, layer.axis, x.type.rank, "a norm")
    power = builder.add("reduce_sum", builder.add("square", x), axes=axes, keepdims=True)
    return builder.add("multiply", x, builder.add("rsqrt", builder.add("maximum", power, 1e-12)))


def group_normalization(builder: Builder, layer: Any, x: Node) -> Node:
    """GroupNormalization stays whole.

    Raises:
        Decline: always; its statistics are over all positions.
    """
    raise Decline("its mean and variance are over all positions")


def _inverse_root(builder: Builder, x: Node, epsilon: float | None) -> Node:
    return builder.add("rsqrt", builder.add("add", x, float(keras.config.epsilon() if epsilon is None else epsilon)))


def _over_axes(builder: Builder, value: Any, axes: tuple[int, ...], rank: int) -> Node:
    """A parameter of the normalised axes, shaped to broadcast over the value."""
    parameter = builder.node(value)
    if parameter.type.batched:
        raise Decline("a scale that depends on the sequence")
    if parameter.type.rank == 0:
        return parameter
    sizes = iter(parameter.type.shape)
    shape = tuple(next(sizes) if i in axes else 1 for i in range(1, rank))
    return builder.add("reshape", parameter, shape=shape)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "BatchNorm": batch_operation,
    "LayerNorm": layer_operation,
    "RMSNorm": rms_operation,
}
"""Class name of a `keras.ops` operation -> lowering rule."""
