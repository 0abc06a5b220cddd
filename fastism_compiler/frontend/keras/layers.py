"""Lowering rules for layers other than convolutions, local pools, recurrences and attention."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from fastism_compiler.frontend.builder import Builder, Decline, refuse_batch, widened
from fastism_compiler.frontend.keras import normalizations
from fastism_compiler.frontend.keras.activations import apply_activation
from fastism_compiler.frontend.keras.arrangements import inner_axes
from fastism_compiler.frontend.keras.contractions import einsum
from fastism_compiler.frontend.keras.kernels import kernel_node, quantized, whole_layer
from fastism_compiler.ir import Node

L = keras.layers


def nothing(builder: Builder, layer: Any, x: Node) -> Node:
    """Layers that do nothing in inference."""
    return builder.add("identity", x)


def dense(builder: Builder, layer: Any, x: Node) -> Any:
    """Dense: contraction of the last axis, bias, activation."""
    if quantized(layer):
        return whole_layer(builder, layer, x)
    x = builder.add("dense", x, kernel_node(builder, layer))
    if layer.use_bias:
        x = builder.add("add", x, builder.parameter(layer.bias))
    return apply_activation(builder, layer.activation, x)


def einsum_dense(builder: Builder, layer: Any, x: Node) -> Any:
    """EinsumDense: a product with its kernel over any axes, bias, activation."""
    if quantized(layer):
        return whole_layer(builder, layer, x, _contracted(layer))
    x = einsum(builder, SimpleNamespace(subscripts=layer.equation), x, kernel_node(builder, layer))
    if layer.bias is not None:
        x = builder.add("add", x, builder.parameter(layer.bias))
    return apply_activation(builder, layer.activation, x)


def _contracted(layer: Any) -> int:
    """Number of last axes that an EinsumDense contracts, if it leaves the others in place; else Decline."""
    terms, _, result = layer.equation.replace(" ", "").partition("->")
    value, _, kernel = terms.partition(",")
    kept = "".join(c for c in value if c in result)
    if "." in layer.equation or not value.startswith(kept) or not result.startswith(kept) or set(kept) & set(kernel):
        raise Decline(f"quantized to {quantized(layer)}, over other axes than the last")
    return len(value) - len(kept)


def function(builder: Builder, layer: Any, x: Any) -> Any:
    """Lambda: its function is followed."""
    return builder.follow(lambda nest: layer.call(nest, training=False), x)


def spectral_normalization(builder: Builder, layer: Any, x: Node) -> Any:
    """SpectralNormalization: in inference the layer inside, whose kernel was normalised in training."""
    return builder.follow(layer.layer, x)


def embedding(builder: Builder, layer: Any, tokens: Node) -> Node:
    """Embedding: a row of its table per token."""
    if quantized(layer):
        raise Decline(f"its table is quantized to {quantized(layer)}")
    if tokens.type.dtype not in ("int32", "int64"):
        tokens = builder.add("cast", tokens, dtype="int32")
    y = builder.add("embedding", tokens, kernel_node(builder, layer, "embeddings"))
    return builder.add("cast", y, dtype=widened(str(layer.compute_dtype)))


def activation(builder: Builder, layer: Any, x: Node) -> Node:
    """Activation: by function; a linear one stays visible, so that `stop_at` can name it."""
    y = apply_activation(builder, layer.activation, x)
    return builder.add("identity", x) if y is x else y


def relu(builder: Builder, layer: Any, x: Node) -> Node:
    """ReLU with cap, slope and threshold."""
    attrs = {"negative_slope": float(layer.negative_slope), "threshold": float(layer.threshold)}
    cap = None if layer.max_value is None else float(layer.max_value)
    return builder.add("relu", x, max_value=cap, **attrs)


def leaky_relu(builder: Builder, layer: Any, x: Node) -> Node:
    """LeakyReLU."""
    return builder.add("leaky_relu", x, negative_slope=float(layer.negative_slope))


def elu(builder: Builder, layer: Any, x: Node) -> Node:
    """ELU."""
    return builder.add("elu", x, alpha=float(layer.alpha))


def prelu(builder: Builder, layer: Any, x: Node) -> Node:
    """PReLU: its slopes may differ by position."""
    return builder.add("prelu", x, builder.parameter(layer.alpha))


def softmax(builder: Builder, layer: Any, x: Node) -> Node:
    """Softmax over one axis or several."""
    axes = inner_axes(builder, layer.axis, x.type.rank, "a softmax")
    return builder.add("softmax", x, axes=axes)


def _same_rank(inputs: Sequence[Node]) -> Sequence[Node]:
    if len({n.type.rank for n in inputs}) > 1:
        raise Decline("operands of different rank")
    return inputs


def fold(op: str) -> Callable[..., Node]:
    """Add, Multiply, Maximum, Minimum: fold over the inputs."""

    def rule(builder: Builder, layer: Any, inputs: Sequence[Node]) -> Node:
        return reduce(lambda a, b: builder.add(op, a, b), _same_rank(inputs))

    return rule


def subtract(builder: Builder, layer: Any, inputs: Sequence[Node]) -> Node:
    """Subtract: first minus second."""
    first, second = _same_rank(inputs)
    return builder.add("subtract", first, second)


def average(builder: Builder, layer: Any, inputs: Sequence[Node]) -> Node:
    """Average: sum, then one division."""
    total = reduce(lambda a, b: builder.add("add", a, b), _same_rank(inputs))
    return builder.add("divide", total, float(len(inputs)))


def concatenate(builder: Builder, layer: Any, inputs: Sequence[Node]) -> Node:
    """Concatenate on any axis but the batch."""
    axis = layer.axis % inputs[0].type.rank
    if axis == 0:
        raise refuse_batch(builder, "a concatenation over the batch")
    return builder.add("concat", *inputs, axis=axis)


def flatten(builder: Builder, layer: Any, x: Node) -> Node:
    """Flatten: positions and channels become one axis, in that order."""
    if layer.data_format == "channels_first" and x.type.rank > 2:
        x = builder.add("transpose", x, perm=(0, *range(2, x.type.rank), 1))
    return builder.add("reshape", x, shape=(x.type.row_size,))


def reshape(builder: Builder, layer: Any, x: Node) -> Node:
    """Reshape; one extent may be -1."""
    return builder.add("reshape", x, shape=resolve_shape(layer.target_shape, x.type.row_size))


def resolve_shape(shape: Sequence[int], size: int) -> tuple[int, ...]:
    """`shape` with its -1 worked out."""
    known = math.prod(n for n in shape if n != -1)
    return tuple(size // known if n == -1 else int(n) for n in shape)


def permute(builder: Builder, layer: Any, x: Node) -> Node:
    """Permute: axes are counted from 1."""
    return builder.add("transpose", x, perm=(0, *layer.dims))


def cropping1d(builder: Builder, layer: Any, x: Node) -> Node:
    """Cropping1D."""
    left, right = layer.cropping
    return builder.add("slice", x, axis=1, begin=left, end=x.type.extent(1) - right)


def zero_padding1d(builder: Builder, layer: Any, x: Node) -> Node:
    """ZeroPadding1D."""
    left, right = layer.padding
    axis = 1 if layer.data_format == "channels_last" else 2
    return builder.add("pad", x, axis=axis, left=left, right=right)


def upsampling1d(builder: Builder, layer: Any, x: Node) -> Node:
    """UpSampling1D: every position repeated."""
    return builder.add("upsample", x, axis=1, size=layer.size)


def repeat_vector(builder: Builder, layer: Any, x: Node) -> Node:
    """RepeatVector."""
    channels = x.type.extent(1)
    x = builder.add("reshape", x, shape=(1, channels))
    return builder.add("broadcast", x, shape=(layer.n, channels))


def global_pooling(op: str) -> Callable[..., Node]:
    """Global pooling over all axes between batch and channels."""

    def rule(builder: Builder, layer: Any, x: Node) -> Node:
        last = layer.data_format == "channels_last"
        axes = tuple(range(1, x.type.rank - 1)) if last else tuple(range(2, x.type.rank))
        return builder.add(op, x, axes=axes, keepdims=layer.keepdims)

    return rule


def rescaling(builder: Builder, layer: Any, x: Node) -> Node:
    """Rescaling: `x * scale + offset`."""
    scale, offset = (_number_or_array(v, x.type.dtype) for v in (layer.scale, layer.offset))
    return builder.add("add", builder.add("multiply", x, scale), offset)


def _number_or_array(value: Any, dtype: str) -> Any:
    array = np.asarray(value, dtype=np.float32).astype(dtype)  # Keras casts through float32 too
    return float(array) if array.ndim == 0 else array


def time_distributed(builder: Builder, layer: Any, x: Node) -> Node:
    """TimeDistributed over a layer that acts on channels alone."""
    inner = layer.layer
    if not isinstance(inner, L.Dense | L.Activation | L.Dropout | L.ReLU | L.LeakyReLU | L.ELU):
        raise Decline(f"TimeDistributed over {type(inner).__name__}")
    rule = builder.rule_for(inner)
    if rule is None:
        raise Decline(f"no rule for {type(inner).__name__}")
    if inner.compute_dtype != layer.compute_dtype:
        raise Decline(f"TimeDistributed over a layer of {inner.compute_dtype}")
    result = rule(builder, inner, x)
    return result if isinstance(result, Node) else result[0]


_NO_OPS = (
    L.Dropout,
    L.SpatialDropout1D,
    L.SpatialDropout2D,
    L.GaussianDropout,
    L.GaussianNoise,
    L.AlphaDropout,
    L.ActivityRegularization,
    L.Identity,
)

LAYERS: dict[type, Callable[..., Any]] = {
    **dict.fromkeys(_NO_OPS, nothing),
    L.Dense: dense,
    L.EinsumDense: einsum_dense,
    L.Lambda: function,
    L.SpectralNormalization: spectral_normalization,
    L.Embedding: embedding,
    L.Activation: activation,
    L.ReLU: relu,
    L.LeakyReLU: leaky_relu,
    L.ELU: elu,
    L.PReLU: prelu,
    L.Softmax: softmax,
    L.BatchNormalization: normalizations.batch_normalization,
    L.LayerNormalization: normalizations.layer_normalization,
    L.UnitNormalization: normalizations.unit_normalization,
    L.GroupNormalization: normalizations.group_normalization,
    L.Rescaling: rescaling,
    L.Add: fold("add"),
    L.Multiply: fold("multiply"),
    L.Maximum: fold("maximum"),
    L.Minimum: fold("minimum"),
    L.Subtract: subtract,
    L.Average: average,
    L.Concatenate: concatenate,
    L.Flatten: flatten,
    L.Reshape: reshape,
    L.Permute: permute,
    L.Cropping1D: cropping1d,
    L.ZeroPadding1D: zero_padding1d,
    L.UpSampling1D: upsampling1d,
    L.RepeatVector: repeat_vector,
    L.GlobalAveragePooling1D: global_pooling("reduce_mean"),
    L.GlobalMaxPooling1D: global_pooling("reduce_max"),
    L.GlobalAveragePooling2D: global_pooling("reduce_mean"),
    L.GlobalMaxPooling2D: global_pooling("reduce_max"),
    L.TimeDistributed: time_distributed,
    **({L.RMSNormalization: normalizations.rms_normalization} if hasattr(L, "RMSNormalization") else {}),
}
"""Keras layer class -> lowering rule."""
