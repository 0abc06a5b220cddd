"""What each op computes on whole values: `WHOLE[kind](node, *operands) -> array`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fastism_compiler.ir.interpreter.arrays import Array, dtype_of
from fastism_compiler.ir.interpreter.functions import FUNCTIONS
from fastism_compiler.ir.interpreter.recurrent import recurrence, recurrent_states
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops.elementwise import COMPARISONS

Evaluator = Callable[..., Array]


def _unary(function: Callable[..., Array]) -> Evaluator:
    return lambda node, x: function(x, **node.attrs)


def _binary(function: Callable[[Array, Array], Array]) -> Evaluator:
    def apply(node: Node, a: Array, b: Array) -> Array:
        dtype = dtype_of(node.type.dtype)
        return function(a.astype(dtype), b.astype(dtype))

    return apply


def _compare(function: Callable[[Array, Array], Array]) -> Evaluator:
    return lambda node, a, b: function(a, b)


def _over_axes(function: Callable[..., Array]) -> Evaluator:
    return lambda node, x: function(x, axis=node.attrs["axes"], keepdims=node.attrs["keepdims"])


def _prelu(node: Node, x: Array, alpha: Array) -> Array:
    return np.where(x >= 0, x, alpha * x)


# Along positions


def _padded(x: Array, left: int, right: int, fill: float = 0.0, axis: int = 1) -> Array:
    paddings = [(0, 0)] * x.ndim
    paddings[axis] = (left, right)
    return np.pad(x, paddings, constant_values=fill)


def _tap(x: Array, tap: int, stride: int, count: int) -> Array:
    """What each of `count` outputs reads at offset `tap`."""
    return x[:, tap : tap + (count - 1) * stride + 1 : stride]


def _conv(node: Node, x: Array, kernel: Array) -> Array:
    groups, (taps, per_group, filters) = node.attrs["groups"], kernel.shape
    x, length = _padded(x, *node.attrs["pad"]), node.type.extent(1)
    weights = kernel.reshape(taps, per_group, groups, filters // groups)
    total = np.zeros((len(x), length, groups, filters // groups))
    for tap in range(taps):
        seen = _tap(x, tap * node.attrs["dilation"], node.attrs["stride"], length)
        total += np.einsum("nlgi,igo->nlgo", seen.reshape(len(x), length, groups, per_group), weights[tap])
    return total.reshape(len(x), length, filters)


def _depthwise_conv(node: Node, x: Array, kernel: Array) -> Array:
    taps, channels, multiplier = kernel.shape
    length = node.type.extent(1)
    x = _padded(x, *node.attrs["pad"])
    seen = [_tap(x, t * node.attrs["dilation"], node.attrs["stride"], length) for t in range(taps)]
    total = sum(s[..., None] * kernel[t] for t, s in enumerate(seen))
    return np.reshape(total, (len(x), length, channels * multiplier))


def _separable_conv(node: Node, x: Array, depthwise: Array, pointwise: Array) -> Array:
    return _depthwise_conv(node, x, depthwise) @ pointwise[0]


def _conv_transpose(node: Node, x: Array, kernel: Array) -> Array:
    taps, filters, _ = kernel.shape
    stride, dilation, pad = (node.attrs[name] for name in ("stride", "dilation", "pad"))
    reach = (x.shape[1] - 1) * stride + 1
    total = np.zeros((len(x), max(reach + (taps - 1) * dilation, pad + node.type.extent(1)), filters))
    for tap in range(taps):
        total[:, tap * dilation : tap * dilation + reach : stride] += x @ kernel[tap].T
    return total[:, pad : pad + node.type.extent(1)]


def _compose_kernels(node: Node, first: Array, second: Array) -> Array:
    """Convolve the kernels: each product of two taps is added at the offset where they meet."""
    here, there = node.attrs["dilations"]
    (k1, channels, _), (k2, _, filters) = first.shape, second.shape
    spread = np.zeros(((k1 - 1) * here + (k2 - 1) * there + 1, channels, filters))
    for t in range(k1):
        for s in range(k2):
            spread[t * here + s * there] += first[t] @ second[s]
    step = (len(spread) - 1) // max(node.type.extent(0) - 1, 1)
    return spread[:: step or 1]


def _select(node: Node, condition: Array, a: Array, b: Array) -> Array:
    return np.where(condition, a, b)


def _pooled(node: Node, x: Array) -> list[Array]:
    return [_tap(x, t, node.attrs["stride"], node.type.extent(1)) for t in range(node.attrs["size"])]


def _max_pool(node: Node, x: Array) -> Array:
    left, right = node.attrs["pad"]
    return np.max(_pooled(node, _padded(x, left, right, fill=-np.inf)), axis=0)


def _avg_pool(node: Node, x: Array) -> Array:
    """The mean of those positions that exist."""
    total, count = (np.sum(_pooled(node, _padded(y, *node.attrs["pad"])), axis=0) for y in (x, np.ones_like(x)))
    return total / count


# Over axes


def _logsumexp(x: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
    largest = np.max(x, axis=axis, keepdims=True)
    result = np.log(np.sum(np.exp(x - largest), axis=axis, keepdims=True)) + largest
    return result if keepdims else np.squeeze(result, axis=axis)


def _log_softmax(node: Node, x: Array) -> Array:
    return x - _logsumexp(x, node.attrs["axes"], keepdims=True)


def _attention(node: Node, query: Array, key: Array, value: Array) -> Array:
    """Vaswani et al. 2017, equation 1, per head."""
    scores = np.einsum("btnh,bsnh->bnts", query * node.attrs["scale"], key)
    weights = np.exp(scores - _logsumexp(scores, (3,), keepdims=True))
    return np.einsum("bnts,bsnv->btnv", weights, value)


def _batch_norm(node: Node, x: Array, mean: Array, variance: Array, *rest: Array) -> Array:
    """`(x - mean) / sqrt(variance + epsilon) * gamma + beta`; gamma and beta where there are any."""
    factors = list(rest)
    gamma = factors.pop(0) if node.attrs["scale"] else np.ones_like(mean)
    beta = factors.pop(0) if node.attrs["center"] else np.zeros_like(mean)
    shape = [1] * x.ndim
    shape[node.attrs["axis"]] = -1
    scale = gamma / np.sqrt(variance + node.attrs["epsilon"])
    return (x - mean.reshape(shape)) * scale.reshape(shape) + beta.reshape(shape)


def _softmax_pool(node: Node, z: Array) -> Array:
    """Values, the channels in front of `split`, weighted by the softmax of the others over `axis`."""
    axis, split = node.attrs["axis"], node.attrs["split"]
    weights = np.exp(z[..., split:] - z[..., split:].max(axis=axis, keepdims=True))
    weighted = weights / weights.sum(axis=axis, keepdims=True) * z[..., :split]
    total: Array = weighted.sum(axis=axis, keepdims=node.attrs["keepdims"])
    return total


# Structure


def _slice(node: Node, x: Array) -> Array:
    return np.take(x, range(node.attrs["begin"], node.attrs["end"]), axis=node.attrs["axis"])


def _subsample(node: Node, x: Array) -> Array:
    axis, step = node.attrs["axis"], node.attrs["step"]
    return np.take(x, range(0, x.shape[axis], step), axis=axis)


def _shape(node: Node, x: Array) -> tuple[int, ...]:
    return (*x.shape[: int(node.type.batched)], *node.attrs["shape"])


WHOLE: dict[str, Evaluator] = {
    **{name: _unary(function) for name, function in FUNCTIONS.items()},
    **{name: _compare(getattr(np, name)) for name in COMPARISONS},
    "add": _binary(np.add),
    "subtract": _binary(np.subtract),
    "multiply": _binary(np.multiply),
    "divide": _binary(np.divide),
    "maximum": _binary(np.maximum),
    "minimum": _binary(np.minimum),
    "power": _binary(np.power),
    "prelu": _prelu,
    "select": _select,
    "cast": lambda node, x: x.astype(dtype_of(node.attrs["dtype"])),
    "embedding": lambda node, tokens, table: table[tokens],
    "one_hot": lambda node, tokens: tokens[..., None] == np.arange(node.attrs["depth"]),
    "conv": _conv,
    "depthwise_conv": _depthwise_conv,
    "separable_conv": _separable_conv,
    "conv_transpose": _conv_transpose,
    "compose_kernels": _compose_kernels,
    "dense": lambda node, x, kernel: x @ kernel,
    "attention": _attention,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
    "recurrence": recurrence,
    "recurrent_states": recurrent_states,
    "reduce_mean": _over_axes(np.mean),
    "reduce_sum": _over_axes(np.sum),
    "reduce_max": _over_axes(np.max),
    "reduce_min": _over_axes(np.min),
    "reduce_logsumexp": _over_axes(_logsumexp),
    "softmax_pool": _softmax_pool,
    "softmax": lambda node, x: np.exp(_log_softmax(node, x)),
    "log_softmax": _log_softmax,
    "batch_norm": _batch_norm,
    "slice": _slice,
    "around": lambda node, x: x,
    "pad": lambda node, x: _padded(x, node.attrs["left"], node.attrs["right"], axis=node.attrs["axis"]),
    "flip": lambda node, x: np.flip(x, node.attrs["axis"]),
    "upsample": lambda node, x: np.repeat(x, node.attrs["size"], axis=node.attrs["axis"]),
    "subsample": _subsample,
    "concat": lambda node, *parts: np.concatenate(parts, axis=node.attrs["axis"]),
    "transpose": lambda node, x: np.transpose(x, node.attrs["perm"]),
    "reshape": lambda node, x: np.reshape(x, _shape(node, x)),
    "broadcast": lambda node, x: np.broadcast_to(x, _shape(node, x)),
}
"""Every op that computes something of its operands: all but leaves, calls that the frontend bound, and tile ops."""
