"""Operators on each element by itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import onnx
from keras import ops

from fastism_compiler.frontend.builder import Decline, dtype_name, refuse_batch
from fastism_compiler.frontend.onnx.call import Call, Rule
from fastism_compiler.frontend.onnx.views import View
from fastism_compiler.ir.types import FLOATS

_SELU = 1.6732632, 1.0507010
"""ONNX's defaults, alpha and gamma, to as many digits as both sides have."""


def _op(kind: str, **defaults: Any) -> Rule:
    """An op of the graph; `theirs=(ours, default)`: ONNX attribute, attribute of the op, default."""

    def rule(call: Call) -> View:
        attrs = {ours: float(call.get(theirs, default)) for theirs, (ours, default) in defaults.items()}
        return call.add(kind, *call.operands, **attrs)

    return rule


def _by_keras(function: Callable[..., Any]) -> Rule:
    return lambda call: call.by_keras(function, *call.operands)


def _folded(kind: str) -> Rule:
    """An operator of any number of operands in any order."""

    def rule(call: Call) -> View:
        constants_last = sorted(call.operands, key=lambda x: not isinstance(x, View))
        return reduce(lambda a, b: call.add(kind, a, b), constants_last)

    return rule


def _mean(call: Call) -> View:
    return call.add("divide", _folded("add")(call), np.float32(len(call.operands)))


def _power(call: Call) -> View:
    x, exponent = call.operands
    known = float(exponent.item()) if isinstance(exponent, np.ndarray) and exponent.size == 1 else math.nan
    kind = {2.0: "square", 0.5: "sqrt", -1.0: "reciprocal", 1.0: "identity"}.get(known)
    return call.add(kind, call.view(0)) if kind else call.add("power", x, exponent)


def _quotient(call: Call) -> View:
    if any(isinstance(x, View) and x.node.type.dtype not in FLOATS for x in call.operands):
        raise Decline("a quotient of integers")
    return call.add("divide", *call.operands)


def _clip(call: Call) -> View:
    low, high = (call.get(name, call.constant(i)) for i, name in ((1, "min"), (2, "max")))
    x = call.view(0)
    for op, bound in (("maximum", low), ("minimum", high)):
        if bound is not None:
            x = call.add(op, x, np.asarray(bound, x.node.type.dtype))
    return x


def _cast(call: Call) -> View:
    dtype = dtype_name(onnx.helper.tensor_dtype_to_np_dtype(call.get("to")))
    if dtype in FLOATS[:2]:
        raise Decline(f"{dtype}, which rounds away what a mutation changes; export the model in float32")
    return call.add("cast", call.view(0), dtype=dtype)


def _cast_like(call: Call) -> View:
    like = call.operands[1]
    dtype = like.node.type.dtype if isinstance(like, View) else str(like.dtype)
    return call.add("cast", call.view(0), dtype=dtype)


def _gelu(call: Call) -> View:
    return call.add("gelu", call.view(0), approximate=call.get("approximate", "none") == "tanh")


def _selu(call: Call) -> View:
    given = call.get("alpha", _SELU[0]), call.get("gamma", _SELU[1])
    if not np.allclose(given, _SELU, rtol=1e-6):
        raise Decline("other constants than those of the paper")
    return call.add("selu", call.view(0))


def _hard_sigmoid(call: Call) -> View:
    return _line_between(call, call.get("alpha", 0.2), call.get("beta", 0.5))


def _hard_swish(call: Call) -> View:
    return call.add("multiply", call.view(0), _line_between(call, 1 / 6, 0.5))


def _line_between(call: Call, slope: float, offset: float) -> View:
    line = call.add("add", call.add("multiply", call.view(0), np.float32(slope)), np.float32(offset))
    return call.add("clip", line, x_min=0.0, x_max=1.0)


def _swish(call: Call) -> View:
    x, alpha = call.view(0), call.get("alpha", 1.0)
    if alpha == 1:
        return call.add("silu", x)
    return call.add("multiply", x, call.add("sigmoid", call.add("multiply", x, np.float32(alpha))))


def _shrink(call: Call) -> View:
    bias, bound, x = call.get("bias", 0.0), call.get("lambd", 0.5), call.view(0)
    if bias == bound:
        return call.add("soft_shrink", x, threshold=bound)
    if bias == 0:
        return call.add("hard_shrink", x, threshold=bound)
    raise Decline("a shrinkage that is neither hard nor soft")


def _thresholded(call: Call) -> View:
    return call.add("threshold", call.view(0), threshold=call.get("alpha", 1.0), default_value=0.0)


def _dropout(call: Call) -> list[Any]:
    if call.given(2) and call.constant(2).any():
        raise refuse_batch(call.builder, "dropout in training")
    return [call.operands[0], None]


def _where(call: Call) -> View:
    return call.add("select", *call.operands)


def _modulo(call: Call) -> View:
    return call.by_keras(ops.fmod if call.get("fmod", 0) else ops.mod, *call.operands)


def _infinite(call: Call) -> View:
    if not (call.get("detect_negative", 1) and call.get("detect_positive", 1)):
        raise Decline("infinities of one sign alone")
    return call.by_keras(ops.isinf, call.view(0))


_PLAIN = {
    "Abs": "abs", "Ceil": "ceil", "Cos": "cos", "Erf": "erf", "Exp": "exp", "Floor": "floor", "Identity": "identity",
    "Log": "log", "Mish": "mish", "Neg": "negative", "Not": "logical_not", "PRelu": "prelu",
    "Reciprocal": "reciprocal", "Relu": "relu", "Round": "round", "Sigmoid": "sigmoid", "Sign": "sign", "Sin": "sin",
    "Softplus": "softplus", "Softsign": "softsign", "Sqrt": "sqrt", "Tanh": "tanh",
    "Add": "add", "Sub": "subtract", "Mul": "multiply", "And": "logical_and", "Or": "logical_or", "Equal": "equal",
    "Greater": "greater", "GreaterOrEqual": "greater_equal", "Less": "less", "LessOrEqual": "less_equal",
}  # fmt: skip
_KERAS = {
    "Acos": "arccos", "Acosh": "arccosh", "Asin": "arcsin", "Asinh": "arcsinh", "Atan": "arctan", "Atanh": "arctanh",
    "Cosh": "cosh", "IsNaN": "isnan", "Sinh": "sinh", "Tan": "tan", "Xor": "logical_xor",
}  # fmt: skip

OPERATORS: dict[str, Rule] = {
    **{theirs: _op(ours) for theirs, ours in _PLAIN.items()},
    **{theirs: _by_keras(getattr(ops, ours)) for theirs, ours in _KERAS.items()},
    "Cast": _cast,
    "CastLike": _cast_like,
    "Celu": _op("celu", alpha=("alpha", 1.0)),
    "Clip": _clip,
    "Div": _quotient,
    "Dropout": _dropout,
    "Elu": _op("elu", alpha=("alpha", 1.0)),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "IsInf": _infinite,
    "LeakyRelu": _op("leaky_relu", alpha=("negative_slope", 0.01)),
    "Max": _folded("maximum"),
    "Mean": _mean,
    "Min": _folded("minimum"),
    "Mod": _modulo,
    "Pow": _power,
    "Selu": _selu,
    "Shrink": _shrink,
    "Sum": _folded("add"),
    "Swish": _swish,
    "ThresholdedRelu": _thresholded,
    "Where": _where,
}
"""ONNX operator -> lowering rule."""
