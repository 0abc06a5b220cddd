"""Lowering rules for `keras.ops` nodes and Python operators between tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from fastism_compiler.frontend.builder import Builder, Decline, dtype_name, is_fixed, refuse_batch, widened
from fastism_compiler.frontend.keras import (
    arrangements,
    attention,
    axiswise,
    contractions,
    convolutions,
    normalizations,
)
from fastism_compiler.frontend.keras.arrangements import inner_axes, strided, without
from fastism_compiler.frontend.keras.layers import resolve_shape
from fastism_compiler.frontend.keras.private import static_attributes
from fastism_compiler.ir import Node
from fastism_compiler.ir.ops.elementwise import COMPARISONS, UNARY
from fastism_compiler.ir.types import FLOATS


def binary(op: str) -> Callable[..., Node]:
    """Two operands, either of which may be a number or an array."""

    def rule(builder: Builder, operation: Any, a: Any, b: Any) -> Node:
        ranks = {x.type.rank for x in (a, b) if isinstance(x, Node) and x.type.batched}
        if len(ranks) > 1:
            raise refuse_batch(builder, "operands of different rank, both with a batch axis")
        if op == "divide" and any(isinstance(x, Node) and x.type.dtype not in FLOATS for x in (a, b)):
            raise Decline("a quotient of integers")
        return builder.add(op, a, b)

    return rule


def unary(op: str) -> Callable[..., Node]:
    """One operand; the operation's own arguments become attributes."""

    def rule(builder: Builder, operation: Any, x: Node) -> Node:
        return builder.add(op, x, **static_attributes(operation))

    return rule


def reduction(op: str) -> Callable[..., Node]:
    """mean, sum, max, min over given axes."""

    def rule(builder: Builder, operation: Any, x: Node) -> Node:
        if getattr(operation, "initial", None) is not None:
            raise Decline("a reduction with an initial value")
        axes = inner_axes(builder, operation.axis, x.type.rank, "a reduction")
        if x.type.dtype not in FLOATS:
            raise Decline(f"a reduction of {x.type.dtype}")
        return builder.add(op, x, axes=axes, keepdims=bool(operation.keepdims))

    return rule


def softmax(op: str) -> Callable[..., Node]:
    """softmax and log_softmax over one axis or several."""

    def rule(builder: Builder, operation: Any, x: Node) -> Node:
        return builder.add(op, x, axes=inner_axes(builder, operation.axis, x.type.rank, "a softmax"))

    return rule


def get_item(builder: Builder, operation: Any, x: Node, key: Any) -> Node:
    """Slices, flips (`::-1`), single positions and new axes; everything else stays with Keras."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        named = sum(k is not None for k in keys) - 1
        keys[at : at + 1] = [slice(None)] * (x.type.rank - named)
    keys = keys or [slice(None)]
    if keys[0] != slice(None):
        raise refuse_batch(builder, "indexing the batch")
    shape, axis = [], 1
    for item in keys[1:]:
        if item is None:
            shape.append(1)
            continue
        if isinstance(item, int):
            begin = item % x.type.extent(axis)
            x = builder.add("slice", x, axis=axis, begin=begin, end=begin + 1)
        elif isinstance(item, slice):
            x = _slice(builder, x, axis, item)
            shape.append(x.type.extent(axis))
        else:
            raise Decline("an index that is neither a slice nor an integer")
        axis += 1
    shape += [x.type.extent(i) for i in range(axis, x.type.rank)]
    plain = len(shape) == x.type.rank - 1 and None not in keys
    return x if plain else builder.add("reshape", x, shape=tuple(shape))


def _slice(builder: Builder, x: Node, axis: int, item: slice) -> Node:
    length = x.type.extent(axis)
    begin, end, step = item.indices(length)
    if step == -1 and (begin, end) == (length - 1, -1):
        return builder.add("flip", x, axis=axis)
    places = range(begin, end, step)
    if not places:
        raise Decline("an empty slice")
    return strided(builder, x, axis, places)


def squeeze(builder: Builder, operation: Any, x: Node) -> Node:
    """squeeze of unit axes."""
    axis = operation.axis
    axes = [i for i in range(1, x.type.rank) if x.type.extent(i) == 1] if axis is None else axis
    axes = axes if isinstance(axes, tuple | list) else (axes,)
    return without(builder, x, *(a % x.type.rank for a in axes))


def expand_dims(builder: Builder, operation: Any, x: Node) -> Node:
    """expand_dims behind the batch axis."""
    axes = operation.axis if isinstance(operation.axis, tuple | list) else (operation.axis,)
    rank = x.type.rank + len(axes)
    places = sorted(a % rank for a in axes)
    if 0 in places:
        raise Decline("a new axis in front of the batch")
    sizes = iter(x.type.extent(i) for i in range(1, x.type.rank))
    return builder.add("reshape", x, shape=tuple(1 if i in places else next(sizes) for i in range(1, rank)))


def reshape(builder: Builder, operation: Any, x: Node) -> Node:
    """reshape that keeps the batch axis in front."""
    shape = tuple(operation.newshape)
    if not shape or shape[0] not in (-1, None):
        raise Decline("a reshape of the batch axis")
    return builder.add("reshape", x, shape=resolve_shape(shape[1:], x.type.row_size))


def transpose(builder: Builder, operation: Any, x: Node) -> Node:
    """transpose that keeps the batch axis in front."""
    if operation.axes is None or operation.axes[0] != 0:
        raise Decline("a transpose of the batch axis")
    return builder.add("transpose", x, perm=tuple(a % x.type.rank for a in operation.axes))


def swapaxes(builder: Builder, operation: Any, x: Node) -> Node:
    """swapaxes behind the batch axis."""
    a, b = operation.axis1 % x.type.rank, operation.axis2 % x.type.rank
    perm = list(range(x.type.rank))
    perm[a], perm[b] = perm[b], perm[a]
    if perm[0] != 0:
        raise Decline("a transpose of the batch axis")
    return builder.add("transpose", x, perm=tuple(perm))


def flip(builder: Builder, operation: Any, x: Node) -> Node:
    """flip over one axis or several, the batch excepted."""
    axis = operation.axis
    if axis is None:
        raise refuse_batch(builder, "a flip of the batch")
    for a in axis if isinstance(axis, tuple | list) else (axis,):
        if a % x.type.rank == 0:
            raise refuse_batch(builder, "a flip of the batch")
        x = builder.add("flip", x, axis=a % x.type.rank)
    return x


def concatenate(builder: Builder, operation: Any, xs: Sequence[Any]) -> Node:
    """concatenate on any axis but the batch."""
    nodes = [builder.node(x) for x in xs]
    axis = operation.axis % nodes[0].type.rank
    if axis == 0:
        raise refuse_batch(builder, "a concatenation over the batch")
    if not all(n.type.batched for n in nodes):
        raise Decline("a concatenation with a constant array")
    return builder.add("concat", *nodes, axis=axis)


def cast(builder: Builder, operation: Any, x: Node) -> Node:
    """cast, unless it rounds below float32: how a value rounds does not follow from its difference."""
    dtype = dtype_name(operation.dtype)
    if widened(dtype) != dtype:
        raise Decline(f"a cast to {dtype}")
    return builder.add("cast", x, dtype=dtype)


def convert_to_tensor(builder: Builder, operation: Any, x: Node) -> Node:
    """convert_to_tensor: a cast where it names a dtype."""
    if operation.sparse or operation.ragged:
        raise Decline("a sparse or ragged tensor")
    return x if operation.dtype is None else cast(builder, operation, x)


def one_hot(builder: Builder, operation: Any, tokens: Node) -> Node:
    """one_hot on a new last axis."""
    if operation.axis != -1 or operation.sparse:
        raise Decline("one_hot on another axis than the last")
    if tokens.type.dtype not in ("int32", "int64"):
        tokens = builder.add("cast", tokens, dtype="int32")
    return builder.add("one_hot", tokens, depth=operation.num_classes, dtype=dtype_name(operation.dtype or "float32"))


def where(builder: Builder, operation: Any, condition: Any, a: Any = None, b: Any = None) -> Node:
    """where with two branches."""
    if a is None or b is None:
        raise Decline("where without branches gives indices")
    return builder.add("select", condition, a, b)


def choose(builder: Builder, operation: Any, conditions: Any, choices: Any, default: Any = 0) -> Node:
    """select: the choice of the first condition that holds."""
    result = default
    for condition, choice in zip(reversed(conditions), reversed(choices), strict=True):
        result = builder.add("select", condition, choice, result)
    return builder.node(result)


def average(builder: Builder, operation: Any, x: Node, weights: Any = None) -> Node:
    """average along one axis, weighted or not."""
    axes = inner_axes(builder, operation.axis, x.type.rank, "an average")
    if weights is None:
        return builder.add("reduce_mean", x, axes=axes, keepdims=False)
    if not is_fixed(weights) or np.asarray(weights).dtype != x.type.dtype:
        raise Decline("an average with computed weights, or weights of another dtype")
    share = np.asarray(weights) / np.sum(weights)
    share = share.reshape([-1 if i in axes else 1 for i in range(1, x.type.rank)]).astype(x.type.dtype)
    return builder.add("reduce_sum", builder.add("multiply", x, share), axes=axes, keepdims=False)


def array(builder: Builder, operation: Any, x: Node) -> Node:
    """array: a copy, or a cast where it names a dtype."""
    return x if operation.dtype is None else cast(builder, operation, x)


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


_LINEAR_AND_NOT = ("add", "subtract", "multiply", "divide", "maximum", "minimum", "power")

OPERATIONS: dict[str, Callable[..., Any]] = {
    **axiswise.OPERATIONS,
    **arrangements.OPERATIONS,
    **contractions.OPERATIONS,
    **convolutions.OPERATIONS,
    **normalizations.OPERATIONS,
    **attention.OPERATIONS,
    **{_camel(op): binary(op) for op in (*_LINEAR_AND_NOT, *COMPARISONS)},
    "TrueDivide": binary("divide"),
    **{_camel(op): unary(op) for op in UNARY},
    "Absolute": unary("abs"),
    "Amax": reduction("reduce_max"),
    "Amin": reduction("reduce_min"),
    "Negative": unary("negative"),
    "Mean": reduction("reduce_mean"),
    "Sum": reduction("reduce_sum"),
    "Max": reduction("reduce_max"),
    "Min": reduction("reduce_min"),
    "Logsumexp": reduction("reduce_logsumexp"),
    "Softmax": softmax("softmax"),
    "LogSoftmax": softmax("log_softmax"),
    "GetItem": get_item,
    "Squeeze": squeeze,
    "ExpandDims": expand_dims,
    "Reshape": reshape,
    "Transpose": transpose,
    "Swapaxes": swapaxes,
    "Flip": flip,
    "Concatenate": concatenate,
    "Cast": cast,
    "ConvertToTensor": convert_to_tensor,
    "Where": where,
    "Select": choose,
    "Average": average,
    "Array": array,
    "OneHot": one_hot,
}
"""Class name of a `keras.ops` operation -> lowering rule."""
