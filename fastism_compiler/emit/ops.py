"""What each op computes on whole tensors: one entry per op kind.

Used for the reference pass, for values after a stop, and, since
element-wise ops do not care which positions they see, for windows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import keras
import tensorflow as tf

from fastism_compiler.emit.composition import compose_kernels
from fastism_compiler.emit.functions import Tensor, function_named
from fastism_compiler.emit.kernels.scatter_gemm import arrange_taps, spread_taps
from fastism_compiler.emit.positions import between, pad_positions, taps_of
from fastism_compiler.emit.recurrent import recurrence, recurrent_states
from fastism_compiler.ir import Node, same_padding
from fastism_compiler.ir.kernels.scatter_gemm import Banding
from fastism_compiler.ir.ops.elementwise import COMPARISONS, UNARY

Emitter = Callable[..., Tensor]
"""`(node, *operands) -> tensor`"""


def _unary(name: str) -> Emitter:
    function = function_named(name)

    def emit(node: Node, x: Tensor) -> Tensor:
        return function(x, **node.attrs)

    return emit


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Emitter:
    def emit(node: Node, a: Tensor, b: Tensor) -> Tensor:
        return function(tf.cast(a, node.type.dtype), tf.cast(b, node.type.dtype))

    return emit


def _add(node: Node, a: Tensor, b: Tensor) -> Tensor:
    """The sum; `x + x` is written `2 x`.

    TensorFlow's graph optimiser rewrites `x + x` itself, with a constant it
    places outside the loop; the loop's results then come out empty.
    """
    return tf.cast(a, node.type.dtype) * 2 if a is b else _binary(tf.add)(node, a, b)


def _compare(name: str) -> Emitter:
    function = getattr(keras.ops, name)
    return lambda node, a, b: function(a, b)


def _prelu(node: Node, x: Tensor, alpha: Tensor) -> Tensor:
    return tf.nn.relu(x) - alpha * tf.nn.relu(-x)


def _select(node: Node, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    dtype = node.type.dtype
    return tf.where(tf.cast(condition, "bool"), tf.cast(a, dtype), tf.cast(b, dtype))


def _conv(node: Node, x: Tensor, kernel: Tensor) -> Tensor:
    attrs = node.attrs
    if attrs["groups"] != 1:
        return grouped_conv(pad_positions(x, *attrs["pad"]), kernel, attrs)
    taps = kernel.shape[0]
    padding = "VALID"
    same = same_padding(x.shape[1], taps, attrs["stride"], attrs["dilation"])
    if attrs["pad"] == same[1:] and attrs["pad"] != (0, 0):
        padding = "SAME"
    else:
        x = pad_positions(x, *attrs["pad"])
    return tf.nn.conv1d(x, kernel, stride=attrs["stride"], padding=padding, dilations=attrs["dilation"])


def grouped_conv(x: Tensor, kernel: Tensor, attrs: Mapping[str, Any]) -> Tensor:
    """A `valid` grouped convolution, one batched product per tap."""
    taps, per_group, filters = kernel.shape
    groups = attrs["groups"]
    weights = tf.unstack(tf.reshape(kernel, [taps, per_group, groups, filters // groups]))
    split = tf.reshape(x, [-1, x.shape[1], groups, per_group])
    seen = taps_of(split, taps, attrs["stride"], attrs["dilation"])
    # one after the other: without XLA, a list of all products would be kept until the sum
    total = reduce(tf.add, (tf.einsum("blgi,igo->blgo", y, w) for y, w in zip(seen, weights, strict=True)))
    return tf.reshape(total, [-1, total.shape[1], filters])


def depthwise_conv(x: Tensor, kernel: Tensor, attrs: Mapping[str, Any]) -> Tensor:
    """A `valid` depthwise convolution, one element-wise product per tap."""
    taps, channels, multiplier = kernel.shape
    seen = taps_of(tf.expand_dims(x, -1), taps, attrs["stride"], attrs["dilation"])
    total = reduce(tf.add, (y * w for y, w in zip(seen, tf.unstack(kernel), strict=True)))
    return tf.reshape(total, [-1, total.shape[1], channels * multiplier])


def _valid_conv(x: Tensor, kernel: Tensor, attrs: Mapping[str, Any]) -> Tensor:
    if attrs["groups"] != 1:
        return grouped_conv(x, kernel, attrs)
    return tf.nn.conv1d(x, kernel, stride=attrs["stride"], padding="VALID", dilations=attrs["dilation"])


VALID: dict[str, Callable[[Tensor, Tensor, Mapping[str, Any]], Tensor]] = {
    "conv": _valid_conv,
    "depthwise_conv": depthwise_conv,
}
"""Convolutions that pad nothing, whatever their attributes say: `(x, kernel, attrs) -> rows`."""


def _depthwise(node: Node, x: Tensor, kernel: Tensor) -> Tensor:
    return depthwise_conv(pad_positions(x, *node.attrs["pad"]), kernel, node.attrs)


def _conv_transpose(node: Node, x: Tensor, kernel: Tensor) -> Tensor:
    weights = tf.transpose(kernel, [0, 2, 1])
    taps, _, filters = weights.shape
    banding = Banding(x.shape[1], taps, filters, node.attrs["dilation"], node.attrs["stride"])
    scattered = spread_taps(x, arrange_taps(weights, banding), banding, tf.matmul)
    pad, out_length = node.attrs["pad"], node.attrs["out_length"]
    return pad_positions(scattered, -pad, out_length + pad - scattered.shape[1])


def max_pool(x: Tensor, size: int, stride: int) -> Tensor:
    """A `valid` maximum over positions."""
    if size == stride:
        length = x.shape[1] // size
        blocks = tf.reshape(between(x, 0, length * size), [-1, length, size, *x.shape[2:]])
        return tf.reduce_max(blocks, axis=2)
    result, *others = taps_of(x, size, stride, 1)
    for other in others:
        result = tf.maximum(result, other)
    return result


def sum_pool(x: Tensor, size: int, stride: int) -> Tensor:
    """A `valid` sum over positions."""
    return tf.add_n(taps_of(x, size, stride, 1))


def _max_pool(node: Node, x: Tensor) -> Tensor:
    attrs = node.attrs
    return max_pool(
        pad_positions(x, attrs["pad"][0], attrs["pad"][1], value=x.dtype.min), attrs["size"], attrs["stride"]
    )


def _avg_pool(node: Node, x: Tensor) -> Tensor:
    attrs = node.attrs
    total = sum_pool(pad_positions(x, *attrs["pad"]), attrs["size"], attrs["stride"])
    if attrs["pad"] == (0, 0):
        return total / attrs["size"]
    ones = tf.ones([1, x.shape[1], 1], x.dtype)
    return total / sum_pool(pad_positions(ones, *attrs["pad"]), attrs["size"], attrs["stride"])


def _reduce(function: Callable[..., Tensor]) -> Emitter:
    def emit(node: Node, x: Tensor) -> Tensor:
        return function(x, axis=list(node.attrs["axes"]), keepdims=node.attrs["keepdims"])

    return emit


def _softmax(function: Callable[..., Tensor]) -> Emitter:
    def emit(node: Node, x: Tensor) -> Tensor:
        return function(x, axis=node.attrs["axes"] if len(node.attrs["axes"]) > 1 else node.attrs["axes"][0])

    return emit


def _softmax_pool(node: Node, z: Tensor) -> Tensor:
    split, axis = node.attrs["split"], node.attrs["axis"]
    weights = tf.nn.softmax(z[..., split:], axis=axis)
    return tf.reduce_sum(weights * z[..., :split], axis=axis, keepdims=node.attrs["keepdims"])


def _subsample(node: Node, x: Tensor) -> Tensor:
    return x[(*[slice(None)] * node.attrs["axis"], slice(None, None, node.attrs["step"]))]


def _dense(node: Node, x: Tensor, kernel: Tensor) -> Tensor:
    return tf.matmul(x, kernel) if len(x.shape) == 2 else tf.tensordot(x, kernel, 1)


def _embedding(node: Node, tokens: Tensor, table: Tensor) -> Tensor:
    """Rows of a table; computed tokens may count from its end, as they do in Keras.

    Tokens without a row become NaN: the model itself then scores the mutant, and refuses them.
    """
    rows = tf.cast(table.shape[0], tokens.dtype)
    place = tf.where(tokens < 0, tokens + rows, tokens)
    found = tf.gather(table, tf.clip_by_value(place, 0, rows - 1))
    outside = (place < 0) | (place >= rows)
    return tf.where(outside[..., None], tf.constant(float("nan"), found.dtype), found)


def _attention(node: Node, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Vaswani et al. 2017, equation 1, per head."""
    scores = tf.einsum("btnh,bsnh->bnts", query * tf.constant(node.attrs["scale"], query.dtype), key)
    return tf.einsum("bnts,bsnv->btnv", tf.nn.softmax(scores), value)


def _slice(node: Node, x: Tensor) -> Tensor:
    return between(x, node.attrs["begin"], node.attrs["end"], node.attrs["axis"])


def _pad(node: Node, x: Tensor) -> Tensor:
    paddings = [[0, 0]] * len(x.shape)
    paddings[node.attrs["axis"]] = [node.attrs["left"], node.attrs["right"]]
    return tf.pad(x, paddings)


def _reshape(node: Node, x: Tensor) -> Tensor:
    leading = [-1] if node.type.batched else []
    return tf.reshape(x, [*leading, *node.attrs["shape"]])


def _broadcast(node: Node, x: Tensor) -> Tensor:
    leading = [tf.shape(x)[0]] if node.type.batched else []
    return tf.broadcast_to(x, [*leading, *node.attrs["shape"]])


OPS: dict[str, Emitter] = {
    **{name: _unary(name) for name in UNARY},
    **{name: _compare(name) for name in COMPARISONS},
    "add": _add,
    "subtract": _binary(tf.subtract),
    "multiply": _binary(tf.multiply),
    "divide": _binary(tf.divide),
    "maximum": _binary(tf.maximum),
    "minimum": _binary(tf.minimum),
    "power": _binary(tf.pow),
    "negative": lambda node, x: -x,
    "prelu": _prelu,
    "select": _select,
    "cast": lambda node, x: tf.cast(x, node.attrs["dtype"]),
    "conv": _conv,
    "depthwise_conv": _depthwise,
    "conv_transpose": _conv_transpose,
    "compose_kernels": compose_kernels,
    "dense": _dense,
    "attention": _attention,
    "embedding": _embedding,
    "one_hot": lambda node, tokens: tf.one_hot(tokens, node.attrs["depth"], dtype=node.attrs["dtype"]),
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "reduce_mean": _reduce(tf.reduce_mean),
    "reduce_sum": _reduce(tf.reduce_sum),
    "reduce_max": _reduce(tf.reduce_max),
    "reduce_min": _reduce(tf.reduce_min),
    "reduce_logsumexp": _reduce(tf.reduce_logsumexp),
    "recurrence": recurrence,
    "recurrent_states": recurrent_states,
    "softmax_pool": _softmax_pool,
    "softmax": _softmax(keras.ops.softmax),
    "log_softmax": _softmax(keras.ops.log_softmax),
    "slice": _slice,
    "pad": _pad,
    "flip": lambda node, x: tf.reverse(x, [node.attrs["axis"]]),
    "upsample": lambda node, x: tf.repeat(x, node.attrs["size"], axis=node.attrs["axis"]),
    "subsample": _subsample,
    "concat": lambda node, *xs: tf.concat([tf.cast(x, node.type.dtype) for x in xs], node.attrs["axis"]),
    "transpose": lambda node, x: tf.transpose(x, node.attrs["perm"]),
    "reshape": _reshape,
    "broadcast": _broadcast,
    "identity": lambda node, x: x,
    "around": lambda node, x: x,
}
"""Op kind -> function on whole tensors. Leaves and opaque ops are evaluated by `Values` and `Step`."""
