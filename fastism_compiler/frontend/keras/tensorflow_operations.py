"""TensorFlow's operations, each as calls of `keras.ops`, whose rules lower them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from keras import ops

from fastism_compiler.frontend.builder import Builder, Decline, dtype_name, refuse_batch
from fastism_compiler.ir import BATCH, Node


@dataclass(frozen=True, slots=True)
class Rows:
    """`[B * L, C]`: the positions of all sequences one below the other.

    Attributes:
        node: the same as `[B, L, C]`.
    """

    node: Node


@dataclass(frozen=True, slots=True)
class Phases:
    """`[B * rate, L / rate, C]`: every `rate`-th position as a sequence, which is how TensorFlow dilates convolutions.

    Attributes:
        node: the same as `[B, L, C]`.
        rate: of dilation.
    """

    node: Node
    rate: int


@dataclass(frozen=True, slots=True)
class Call:
    """One operation of a traced graph.

    Attributes:
        builder: adds nodes.
        op: the operation.
        operands: nodes, rows or numpy constants.
        sequences: how many it was traced with.
    """

    builder: Builder
    op: Any
    operands: Sequence[Any]
    sequences: int

    def __getitem__(self, name: str) -> Any:
        """An attribute."""
        return self.op.get_attr(name)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first output, the number of sequences included."""
        return tuple(self.op.outputs[0].shape)

    def constant(self, position: int) -> Any:
        """An operand that must be known now.

        Raises:
            Decline: it is computed.
        """
        value = self.operands[position]
        if not isinstance(value, np.ndarray):
            raise Decline(f"the TensorFlow operation {self.op.type} with a computed argument")
        return value

    def axis(self, position: int) -> Any:
        """An operand that names one axis, or several, none of them that of the sequences.

        Raises:
            UnsupportedError: the axis of sequences.
        """
        rank = self.op.inputs[0].shape.rank
        axes = [int(a) % rank for a in np.atleast_1d(self.constant(position))]
        if 0 in axes and self.is_batched(self.operands[0]):
            raise refuse_batch(self.builder, f"TensorFlow's {self.op.type}")
        return axes if np.ndim(self.constant(position)) else axes[0]

    def apply(self, function: Callable[..., Any], *operands: Any) -> Any:
        """A function of `keras.ops` on operands; rows give rows."""
        nodes = [x.node if isinstance(x, Rows) else x for x in operands]
        places = [i for i, x in enumerate(nodes) if isinstance(x, Node)]

        def with_constants(tensors: Any) -> Any:
            given: list[Any] = list(nodes)
            for place, tensor in zip(places, keras.tree.flatten(tensors), strict=True):
                given[place] = tensor
            return function(*given)

        result = self.builder.follow(with_constants, [nodes[i] for i in places])
        results = list(result) if isinstance(result, list | tuple) else [result]
        if any(isinstance(x, Rows) for x in operands):
            results = [Rows(node) for node in results]
        return results if isinstance(result, list | tuple) else results[0]

    @staticmethod
    def is_batched(x: Any) -> bool:
        """Whether this is a value of each sequence."""
        return isinstance(x, Rows) or (isinstance(x, Node) and x.type.rank > 0 and x.type.shape[0] is BATCH)

    def typed(self, x: Any) -> Any:
        """A value in the dtype that TensorFlow gives it."""
        dtype = dtype_name(self.op.outputs[0].dtype)
        return self.apply(lambda t: ops.cast(t, dtype), x)


Rule = Callable[[Call], Any]


def _same(call: Call) -> Any:
    return list(call.operands)


def _elementwise(name: str, function: Callable[..., Any]) -> Rule:
    """A function of elements; of variables alone, the op of the graph with this name."""

    def rule(call: Call) -> Any:
        if any(call.is_batched(x) for x in call.operands):
            return call.apply(function, *call.operands)
        return call.builder.add(name, *call.operands)

    return rule


def _with(function: Callable[..., Any], **attributes: str) -> Rule:
    """A function of all operands, with attributes of the operation as keyword arguments."""
    return lambda call: call.apply(
        lambda *x: function(*x, **{theirs: call[ours] for theirs, ours in attributes.items()}), *call.operands
    )


def _reduction(function: Callable[..., Any]) -> Rule:
    def rule(call: Call) -> Any:
        axis, keep = call.axis(1), bool(call["keep_dims"])
        return call.apply(lambda x: function(x, axis=axis, keepdims=keep), call.operands[0])

    return rule


def _along(function: Callable[..., Any]) -> Rule:
    """A function along one axis, whose result has a dtype of its own."""

    def rule(call: Call) -> Any:
        axis = call.axis(1)
        return call.typed(call.apply(lambda x: function(x, axis=axis), call.operands[0]))

    return rule


def _reshape(call: Call) -> Any:
    """Reshapes of each sequence, of variables, and of the positions of all sequences to rows and back."""
    x, shape = call.operands[0], call.shape
    if isinstance(x, Rows):
        inner = x.node.type.shape[1:]
        if shape[0] != call.sequences or math.prod(shape[1:]) != math.prod(n or 0 for n in inner):
            raise Decline("a TensorFlow reshape across sequences")
        return call.builder.add("reshape", x.node, shape=shape[1:])
    if not call.is_batched(x):
        return call.builder.add("reshape", x, shape=shape)
    if shape and shape[0] == call.sequences:
        return call.builder.add("reshape", x, shape=shape[1:])
    if len(shape) == 2 and shape[1] == x.type.shape[-1] and shape[0] % call.sequences == 0:
        return Rows(call.builder.add("reshape", x, shape=(shape[0] // call.sequences, shape[1])))
    raise Decline("a TensorFlow reshape across sequences")


def _transpose(call: Call) -> Any:
    perm = tuple(int(a) for a in call.constant(1))
    if call.is_batched(call.operands[0]) and perm[0] != 0:
        raise Decline("a TensorFlow transpose of the sequences")
    return call.builder.add("transpose", call.operands[0], perm=perm)


def _strided_slice(call: Call) -> Any:
    """`x[begin:end:strides]` with its five masks."""
    begin, end, strides = (call.constant(i).tolist() for i in (1, 2, 3))
    bits = {name: call[f"{name}_mask"] for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")}

    def key(i: int) -> Any:
        if bits["ellipsis"] >> i & 1:
            return Ellipsis
        if bits["new_axis"] >> i & 1:
            return None
        if bits["shrink_axis"] >> i & 1:
            return begin[i]
        first = None if bits["begin"] >> i & 1 else begin[i]
        last = None if bits["end"] >> i & 1 else end[i]
        return slice(first, last, None if strides[i] == 1 else strides[i])

    keys = [key(i) for i in range(len(begin))]
    if keys[0] is not Ellipsis and call.is_batched(call.operands[0]):
        whole = keys[0] in (slice(None), slice(0, None)) or keys[0] in [slice(f, call.sequences) for f in (None, 0)]
        if not whole:
            raise refuse_batch(call.builder, "indexing the batch")
        keys[0] = slice(None)
    return call.apply(lambda x: x[tuple(keys)], call.operands[0])


def _slice(call: Call) -> Any:
    begin, size = call.constant(1).tolist(), call.constant(2).tolist()
    if begin[0] != 0 or size[0] not in (-1, call.sequences):
        raise refuse_batch(call.builder, "indexing the batch")
    keys = [slice(b, None if n == -1 else b + n) for b, n in zip(begin[1:], size[1:], strict=True)]
    return call.apply(lambda x: x[(slice(None), *keys)], call.operands[0])


def _pad(call: Call) -> Any:
    widths = call.constant(1).tolist()
    value = float(call.constant(2)) if call.op.type == "PadV2" else 0
    if any(widths[0]):
        raise refuse_batch(call.builder, "padding the batch")
    if call.op.type == "MirrorPad":
        return call.apply(lambda x: ops.pad(x, widths, mode=call["mode"].decode().lower()), call.operands[0])
    return call.apply(lambda x: ops.pad(x, widths, constant_values=value), call.operands[0])


def _concatenate(call: Call) -> Any:
    *parts, _ = call.operands
    _check_each_batched(call, parts)
    axis = int(call.constant(len(parts))) % call.op.inputs[0].shape.rank
    if axis == 0:
        raise refuse_batch(call.builder, "concatenating sequences")
    return call.apply(lambda *x: ops.concatenate(x, axis=axis), *parts)


def _check_each_batched(call: Call, parts: Sequence[Any]) -> None:
    if not all(call.is_batched(x) for x in parts):
        raise Decline(f"the TensorFlow operation {call.op.type} with a constant part")


def _stack(call: Call) -> Any:
    axis = call["axis"] % len(call.shape)
    if axis == 0:
        raise refuse_batch(call.builder, "stacking sequences")
    _check_each_batched(call, call.operands)
    return call.apply(lambda *x: ops.stack(x, axis=axis), *call.operands)


def _unstack(call: Call) -> Any:
    axis = call["axis"] % call.op.inputs[0].shape.rank
    if axis == 0:
        raise refuse_batch(call.builder, "unstacking sequences")
    return _listed(call.apply(lambda x: ops.unstack(x, axis=axis), call.operands[0]))


def _split(call: Call) -> Any:
    """`Split` has its axis in front, `SplitV` sizes and axis behind."""
    if call.op.type == "Split":
        axis, x, ends = int(call.constant(0)), call.operands[1], call["num_split"]
    else:
        x, axis = call.operands[0], int(call.constant(2))
        ends = np.cumsum(call.constant(1))[:-1].tolist()
    return _listed(call.apply(lambda t: ops.split(t, ends, axis=axis), x))


def _listed(x: Any) -> list[Any]:
    return x if isinstance(x, list) else [x]


def _gather(call: Call) -> Any:
    x, axis = call.operands[0], int(call.constant(2))
    if call["batch_dims"] != 0 or not call.is_batched(x) or axis == 0:
        raise Decline("a TensorFlow gather from a table")
    places = call.constant(1)
    return call.apply(lambda t: ops.take(t, places, axis=axis), x)


def _matmul(call: Call) -> Any:
    turned = [
        bool(call[name])
        for name in (("transpose_a", "transpose_b") if call.op.type == "MatMul" else ("adj_x", "adj_y"))
    ]
    x, y = (_turned(call, v) if turn else v for v, turn in zip(call.operands, turned, strict=True))
    if call.op.type == "MatMul" and not call.is_batched(x):
        raise Decline("a product of weights alone")
    return call.apply(ops.matmul, x, y)


def _turned(call: Call, x: Any) -> Any:
    """The last two axes swapped."""
    if isinstance(x, np.ndarray):
        return np.swapaxes(x, -1, -2)
    if isinstance(x, Rows) or (call.is_batched(x) and x.type.rank < 3):
        raise Decline("a TensorFlow transpose of the sequences")
    axes = list(range(x.type.rank))
    return call.builder.add("transpose", x, perm=(*axes[:-2], axes[-1], axes[-2]))


def _einsum(call: Call) -> Any:
    equation = call["equation"].decode()
    return call.apply(lambda *x: ops.einsum(equation, *x), *call.operands)


def _one_dimensional(call: Call, x: Any) -> tuple[Any, int]:
    """`[B, 1, L, C]` or `[B, L, 1, C]` without its axis of one element, and which is the other.

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


def _to_phases(call: Call) -> Any:
    (rate,), ((before, after),) = call.constant(1).tolist(), call.constant(2).tolist()
    padded = call.apply(lambda t: ops.pad(t, [(0, 0), (before, after), (0, 0)]), call.operands[0])
    return Phases(padded, rate)


def _from_phases(call: Call) -> Any:
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


def _convolution(function: Callable[..., Any]) -> Rule:
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


def _pool(function: Callable[..., Any]) -> Rule:
    def rule(call: Call) -> Any:
        flat, along = _one_dimensional(call, call.operands[0])
        size, stride, padding = call["ksize"][along], call["strides"][along], call["padding"].decode().lower()
        if call["data_format"] != b"NHWC" or padding not in ("same", "valid"):
            raise Decline(f"the TensorFlow operation {call.op.type} with {padding} padding")
        return _back(call, call.apply(lambda t: function(t, size, stride, padding=padding), flat))

    return rule


def _one_hot(call: Call) -> Any:
    depth, on, off = (call.constant(i) for i in (1, 2, 3))
    if (on, off) != (1, 0):
        raise Decline("a TensorFlow one-hot encoding of other numbers than 1 and 0")
    dtype = dtype_name(call.op.outputs[0].dtype)
    return call.apply(lambda t: ops.one_hot(t, int(depth), axis=call["axis"], dtype=dtype), call.operands[0])


def _cumulated(call: Call) -> Any:
    if call["exclusive"] or call["reverse"]:
        raise Decline("a TensorFlow cumulative sum that is exclusive or reversed")
    axis = call.axis(1)
    return call.apply(lambda t: ops.cumsum(t, axis=axis), call.operands[0])


def _normalised(call: Call) -> Any:
    """Batch normalisation as one operation, in inference."""
    if call["is_training"] or call["data_format"] != b"NHWC":
        raise refuse_batch(call.builder, "batch normalisation in training")
    x, scale, offset, mean, variance = call.operands
    epsilon = float(call["epsilon"])
    return call.apply(
        lambda t, g, b, m, v: (t - m) * (ops.rsqrt(v + epsilon) * g) + b, x, scale, offset, mean, variance
    )


def _cast(call: Call) -> Any:
    x = call.operands[0]
    return call.typed(x) if call.is_batched(x) else call.builder.add("cast", x, dtype=dtype_name(call["DstT"]))


def _squeeze(call: Call) -> Any:
    x, shape = call.operands[0], call.shape
    if isinstance(x, Phases):  # an axis of one element comes or goes beside its own three
        return x
    return call.builder.add("reshape", x, shape=shape[1:] if call.is_batched(x) else shape)


def _tile(call: Call) -> Any:
    counts = call.constant(1).tolist()
    if counts[0] != 1:
        raise refuse_batch(call.builder, "repeating sequences")
    return call.apply(lambda t: ops.tile(t, counts), call.operands[0])


def _flip(call: Call) -> Any:
    axis = call.axis(1)
    return call.apply(lambda t: ops.flip(t, axis=axis), call.operands[0])


def _roll(call: Call) -> Any:
    shift, axis = call.constant(1).tolist(), call.axis(2)
    return call.apply(lambda t: ops.roll(t, shift, axis=axis), call.operands[0])


def _top_k(call: Call) -> Any:
    count = int(call.constant(1))
    return _listed(call.apply(lambda t: ops.top_k(t, count, sorted=call["sorted"]), call.operands[0]))


def _sum_of_all(call: Call) -> Any:
    def total(*x: Any) -> Any:
        first, *rest = x
        for other in rest:
            first = first + other
        return first

    return call.apply(total, *call.operands)


def _leaky_relu(x: Any, alpha: float) -> Any:
    return ops.leaky_relu(x, negative_slope=alpha)


_UNARY = {
    "Abs": "abs", "Acos": "arccos", "Acosh": "arccosh", "Asin": "arcsin", "Asinh": "arcsinh", "Atan": "arctan",
    "Atanh": "arctanh", "Ceil": "ceil", "Cos": "cos", "Cosh": "cosh", "Elu": "elu", "Erf": "erf", "Exp": "exp",
    "Expm1": "expm1", "Floor": "floor", "IsFinite": "isfinite", "IsInf": "isinf", "IsNan": "isnan", "Log": "log",
    "Log1p": "log1p", "LogSoftmax": "log_softmax", "LogicalNot": "logical_not", "Neg": "negative", "Relu": "relu",
    "Relu6": "relu6", "Round": "round", "Rsqrt": "rsqrt", "Selu": "selu", "Sigmoid": "sigmoid", "Sign": "sign",
    "Sin": "sin", "Sinh": "sinh", "Softmax": "softmax", "Softplus": "softplus", "Softsign": "softsign",
    "Sqrt": "sqrt", "Square": "square", "Tan": "tan", "Tanh": "tanh",
}  # fmt: skip
_BINARY = {
    "Add": "add", "AddV2": "add", "BiasAdd": "add", "Equal": "equal", "FloorDiv": "floor_divide", "FloorMod": "mod",
    "Greater": "greater", "GreaterEqual": "greater_equal", "Less": "less", "LessEqual": "less_equal",
    "LogicalAnd": "logical_and", "LogicalOr": "logical_or", "Maximum": "maximum", "Minimum": "minimum",
    "Mul": "multiply", "NotEqual": "not_equal", "Pow": "power", "RealDiv": "divide", "Sub": "subtract",
}  # fmt: skip
_PASSED_ON = ("CheckNumerics", "EnsureShape", "Identity", "IdentityN", "PreventGradient", "Snapshot", "StopGradient")
_OWN: dict[str, Rule] = {
    "AddN": _sum_of_all,
    "All": _reduction(ops.all),
    "Any": _reduction(ops.any),
    "ArgMax": _along(ops.argmax),
    "ArgMin": _along(ops.argmin),
    "AvgPool": _pool(ops.average_pool),
    "BatchMatMulV2": _matmul,
    "BatchToSpaceND": _from_phases,
    "Cast": _cast,
    "ClipByValue": _with(ops.clip),
    "ConcatV2": _concatenate,
    "Conv2D": _convolution(ops.conv),
    "Cumsum": _cumulated,
    "DepthwiseConv2dNative": _convolution(ops.depthwise_conv),
    "Einsum": _einsum,
    "Erfc": lambda call: call.apply(lambda t: 1 - ops.erf(t), *call.operands),
    "ExpandDims": _squeeze,
    "FusedBatchNormV3": _normalised,
    "GatherV2": _gather,
    "LeakyRelu": _with(_leaky_relu, alpha="alpha"),
    "MatMul": _matmul,
    "Max": _reduction(ops.max),
    "MaxPool": _pool(ops.max_pool),
    "Mean": _reduction(ops.mean),
    "Min": _reduction(ops.min),
    "MirrorPad": _pad,
    "OneHot": _one_hot,
    "Pack": _stack,
    "Pad": _pad,
    "PadV2": _pad,
    "Prod": _reduction(ops.prod),
    "Reciprocal": lambda call: call.apply(lambda t: 1 / t, *call.operands),
    "Reshape": _reshape,
    "ReverseV2": _flip,
    "Roll": _roll,
    "SpaceToBatchND": _to_phases,
    "SelectV2": _with(ops.where),
    "Slice": _slice,
    "Split": _split,
    "SplitV": _split,
    "SquaredDifference": lambda call: call.apply(lambda a, b: ops.square(a - b), *call.operands),
    "Squeeze": _squeeze,
    "StridedSlice": _strided_slice,
    "Sum": _reduction(ops.sum),
    "Tile": _tile,
    "TopKV2": _top_k,
    "Transpose": _transpose,
    "Unpack": _unstack,
}

OPERATIONS: Mapping[str, Rule] = MappingProxyType(
    {
        **{theirs: _elementwise(ours, getattr(ops, ours)) for theirs, ours in {**_UNARY, **_BINARY}.items()},
        **dict.fromkeys(_PASSED_ON, _same),
        **_OWN,
    }
)
"""TensorFlow operation -> how it is lowered."""

ALLOWED: Mapping[type, frozenset[str]] = MappingProxyType(
    {
        Rows: frozenset(
            {*_UNARY, *_BINARY, *_PASSED_ON, "MatMul", "Reshape", "Cast", "SelectV2", "ClipByValue", "LeakyRelu"}
        ),
        Phases: frozenset({"ExpandDims", "Squeeze", "Conv2D", "DepthwiseConv2dNative", "BatchToSpaceND"}),
    }
)
"""Operations that take positions in an order of their own."""
