"""TensorFlow's operations, each as calls of `keras.ops`, whose rules lower them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from keras import ops

from fastism_compiler.frontend.builder import Decline, dtype_name, refuse_batch, widened
from fastism_compiler.frontend.keras.tensorflow import arrangements, convolutions
from fastism_compiler.frontend.keras.tensorflow.call import Call, Phases, Rows, Rule


def _same(call: Call) -> Any:
    return list(call.operands)


def _elementwise(function: Callable[..., Any]) -> Rule:
    """A function of elements."""
    return lambda call: call.apply(function, *call.operands)


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


def _matmul(call: Call) -> Any:
    names = ("transpose_a", "transpose_b") if call.op.type == "MatMul" else ("adj_x", "adj_y")
    x, y = (_turned(call, v) if call[name] else v for v, name in zip(call.operands, names, strict=True))
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


def _one_hot(call: Call) -> Any:
    depth, on, off = (call.constant(i) for i in (1, 2, 3))
    if (on, off) != (1, 0) or on.dtype == bool:
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


def _bias(call: Call) -> Any:
    if call["data_format"] != b"NHWC":
        raise Decline("a TensorFlow bias on another axis than the last")
    return call.apply(ops.add, *call.operands)


def _cast(call: Call) -> Any:
    x, dtype = call.operands[0], dtype_name(call["DstT"])
    if widened(dtype) != dtype:
        raise Decline(f"a cast to {dtype}")
    return call.typed(x)


def _top_k(call: Call) -> Any:
    count = int(call.constant(1))
    return arrangements.listed(call.apply(lambda t: ops.top_k(t, count, sorted=call["sorted"]), call.operands[0]))


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
    "Add": "add", "AddV2": "add", "Equal": "equal", "FloorDiv": "floor_divide", "FloorMod": "mod",
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
    "AvgPool": convolutions.pool(ops.average_pool),
    "BatchMatMulV2": _matmul,
    "BatchToSpaceND": convolutions.from_phases,
    "BiasAdd": _bias,
    "Cast": _cast,
    "ClipByValue": _with(ops.clip),
    "ConcatV2": arrangements.concatenate,
    "Conv2D": convolutions.convolution(ops.conv),
    "Cumsum": _cumulated,
    "DepthwiseConv2dNative": convolutions.convolution(ops.depthwise_conv),
    "Einsum": _einsum,
    "Erfc": lambda call: call.apply(ops.erfc, *call.operands),
    "ExpandDims": arrangements.squeeze,
    "FusedBatchNormV3": _normalised,
    "GatherV2": arrangements.gather,
    "LeakyRelu": _with(_leaky_relu, alpha="alpha"),
    "MatMul": _matmul,
    "Max": _reduction(ops.max),
    "MaxPool": convolutions.pool(ops.max_pool),
    "Mean": _reduction(ops.mean),
    "Min": _reduction(ops.min),
    "MirrorPad": arrangements.pad,
    "OneHot": _one_hot,
    "Pack": arrangements.stack,
    "Pad": arrangements.pad,
    "PadV2": arrangements.pad,
    "Prod": _reduction(ops.prod),
    "Reciprocal": lambda call: call.apply(lambda t: 1 / t, *call.operands),
    "Reshape": arrangements.reshape,
    "ReverseV2": arrangements.flip,
    "Roll": arrangements.roll,
    "SpaceToBatchND": convolutions.to_phases,
    "SelectV2": _with(ops.where),
    "Slice": arrangements.cut,
    "Split": arrangements.split,
    "SplitV": arrangements.split,
    "SquaredDifference": lambda call: call.apply(lambda a, b: ops.square(a - b), *call.operands),
    "Squeeze": arrangements.squeeze,
    "StridedSlice": arrangements.strided_slice,
    "Sum": _reduction(ops.sum),
    "Tile": arrangements.tile,
    "TopKV2": _top_k,
    "Transpose": arrangements.transpose,
    "Unpack": arrangements.unstack,
}

OPERATIONS: Mapping[str, Rule] = MappingProxyType(
    {
        **{theirs: _elementwise(getattr(ops, ours)) for theirs, ours in {**_UNARY, **_BINARY}.items()},
        **dict.fromkeys(_PASSED_ON, _same),
        **_OWN,
    }
)
"""TensorFlow operation -> how it is lowered."""

_BY_ELEMENT = frozenset({*_UNARY, *_BINARY, *_PASSED_ON, "SelectV2", "ClipByValue"})
SPREADING = _BY_ELEMENT | {"BatchMatMulV2"}
"""Operations that broadcast a constant, given once where it is the same for each sequence."""

ALLOWED: Mapping[type, frozenset[str]] = MappingProxyType(
    {
        Rows: _BY_ELEMENT | {"BiasAdd", "Cast", "LeakyRelu", "MatMul", "Reshape"},
        Phases: frozenset({"ExpandDims", "Squeeze", "Conv2D", "DepthwiseConv2dNative", "BatchToSpaceND"}),
    }
)
"""Operations that accept `Rows`, or `Phases`."""
