"""Lowering rules for `keras.ops` that read whole axes, or each element by itself, by Keras's own functions.

Windows need no more than to know which axes an operation reads: along any other it treats each position by itself,
and runs on a window as it runs on a whole value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fastism_compiler.frontend.builder import Builder, Decline, dtype_name, is_fixed, refuse_batch, widened
from fastism_compiler.frontend.keras.arrangements import inner_axes, without
from fastism_compiler.ir import Node
from fastism_compiler.ir.types import FLOATS

Axes = Callable[[Any, int], Any]
"""`(operation, rank) -> axis or axes that it reads`"""


def _own_axis(operation: Any, rank: int) -> Any:
    return operation.axis


def _last(operation: Any, rank: int) -> Any:
    return rank - 1


def by_axis(axes_of: Axes = _own_axis) -> Callable[..., Any]:
    """An operation that reads some axes whole."""

    def rule(builder: Builder, operation: Any, x: Node) -> Any:
        over = inner_axes(builder, axes_of(operation, x.type.rank), x.type.rank, type(operation).__name__)
        results = _results(operation, x)
        reduces = any(len(t.shape) < x.type.rank for t in results)
        attrs = {"over": over, "reduces": reduces}
        return _bound(builder, "axis_call", operation, [x], results, attrs)

    return rule


def layer_over_axes(builder: Builder, layer: Any, x: Node, over: tuple[int, ...], what: str) -> Any:
    """An opaque call of a layer on one tensor; it reads the last axes `over`, and keeps the axes before them."""
    attrs = {"over": over, "reduces": False}
    results = _results(layer, x)
    return _bound(builder, "axis_call", layer, [x], results, attrs, what)


def elementwise(builder: Builder, operation: Any, *operands: Any) -> Any:
    """An operation on each element by itself."""
    # Keras converts a Python number to `floatx()` in these: as float32 it is rounded, even beside float64
    dtype = next((x.type.dtype for x in operands if isinstance(x, Node) and x.type.dtype in FLOATS), "float32")
    nodes = [builder.node(x, dtype if keras.config.floatx() == "float64" else "float32") for x in operands]
    if any(n.type.batched and n.type.rank != max(m.type.rank for m in nodes) for n in nodes):
        raise refuse_batch(builder, "operands of different rank, one of them with a batch axis")
    return _bound(builder, "elementwise_call", operation, nodes, _results(operation, *nodes), {})


def _results(operation: Any, *nodes: Node) -> list[Any]:
    symbols = [keras.KerasTensor(n.type.shape, dtype=n.type.dtype) for n in nodes]
    results = keras.tree.flatten(operation.compute_output_spec(*symbols))
    if type(operation).__name__ == "Normalize" and nodes[0].type.dtype in FLOATS:  # its spec always says float32
        results = [keras.KerasTensor(t.shape, dtype=nodes[0].type.dtype) for t in results]
    return list(results)


def _bound(
    builder: Builder,
    op: str,
    operation: Any,
    nodes: list[Node],
    results: list[Any],
    attrs: dict[str, Any],
    what: str | None = None,
) -> Any:
    """One node per result, all of one call."""
    what = what or type(operation).__name__
    call = builder.bind(operation)
    made = []
    for number, t in enumerate(results):
        if any(n is None for n in t.shape[1:]):
            raise Decline(f"{what} with an open extent")
        own = {"call": call, "what": what, "output": number, "shape": tuple(t.shape[1:])}
        made.append(builder.add(op, *nodes, **own, dtype=widened(dtype_name(t.dtype)), **attrs))
    return made[0] if len(made) == 1 else made


def moments(builder: Builder, operation: Any, x: Node) -> list[Node]:
    """Mean and variance."""
    axes = _axes_of(builder, operation.axes, x)
    kept, mean, squares = _variance(builder, x, axes)
    if operation.keepdims:
        return [kept, squares]
    return [mean, without(builder, squares, *axes)]


def variance(builder: Builder, operation: Any, x: Node) -> Node:
    """var: the mean squared distance from the mean."""
    axes = _axes_of(builder, operation.axis, x)
    squares = _variance(builder, x, axes)[2]
    return squares if operation.keepdims else without(builder, squares, *axes)


def deviation(builder: Builder, operation: Any, x: Node) -> Node:
    """std: the root of the variance."""
    return builder.add("sqrt", variance(builder, operation, x))


def _variance(builder: Builder, x: Node, axes: tuple[int, ...]) -> tuple[Node, Node, Node]:
    """Mean with and without the axes, and the variance with them."""
    kept = builder.add("reduce_mean", x, axes=axes, keepdims=True)
    squares = builder.add("square", builder.add("subtract", x, kept))
    return kept, without(builder, kept, *axes), builder.add("reduce_mean", squares, axes=axes, keepdims=True)


def _axes_of(builder: Builder, axes: Any, x: Node) -> tuple[int, ...]:
    found = inner_axes(builder, axes, x.type.rank, "a variance")
    if x.type.dtype not in FLOATS:
        raise Decline(f"a variance of {x.type.dtype}")
    return found


def gate(builder: Builder, operation: Any, x: Node) -> Node:
    """glu: the first half, gated by the sigmoid of the second."""
    axis = operation.axis % x.type.rank
    if axis == 0 or x.type.extent(axis) % 2:
        raise Decline("a gate over the batch, or of an odd number of channels")
    half = x.type.extent(axis) // 2
    first, second = (builder.add("slice", x, axis=axis, begin=begin, end=begin + half) for begin in (0, half))
    return builder.add("multiply", first, builder.add("sigmoid", second))


@dataclass(frozen=True, slots=True)
class _Given:
    """An operation with constants for its other arguments."""

    operation: Any
    rest: tuple[Any, ...]

    def __call__(self, x: Any) -> Any:
        return self.operation(x, *self.rest)

    def compute_output_spec(self, x: Any) -> Any:
        return self.operation.compute_output_spec(x, *self.rest)


def quantile(builder: Builder, operation: Any, x: Node, q: Any) -> Any:
    """quantile and percentile for a single `q`, along axes that are read whole."""
    if not is_fixed(q) or np.ndim(q):
        raise Decline("several quantiles, or a computed one")
    over = inner_axes(builder, operation.axis, x.type.rank, "a quantile")
    given = _Given(operation, (q,))
    attrs = {"over": over, "reduces": not operation.keepdims}
    return _bound(builder, "axis_call", given, [x], _results(given, x), attrs, "Quantile")


def digitize(builder: Builder, operation: Any, x: Node, bins: Any) -> Any:
    """digitize: the number of each element's bin."""
    if not is_fixed(bins):
        raise Decline("computed bins")
    given = _Given(operation, (np.asarray(bins),))
    return _bound(builder, "elementwise_call", given, [x], _results(given, x), {}, "Digitize")


_BY_AXIS = (
    "All", "Any", "Argmax", "Argmin", "Argsort", "Argpartition", "CountNonzero", "Cumprod", "Cumsum", "Median",
    "Nanargmax", "Nanargmin", "Nancumprod", "Nancumsum", "Nanmax", "Nanmean", "Nanmedian", "Nanmin", "Nanprod",
    "Nanstd", "Nansum", "Nanvar", "Normalize", "Prod", "Ptp", "Sort", "Sparsemax", "Trapezoid", "Norm",
)  # fmt: skip
_ONE_BY_ONE = (
    "Angle", "Arccos", "Arccosh", "Arcsin", "Arcsinh", "Arctan", "Arctan2", "Arctanh", "BitwiseAnd",
    "BitwiseInvert", "BitwiseNot", "BitwiseOr", "BitwiseXor", "BitwiseLeftShift", "BitwiseRightShift", "LeftShift",
    "RightShift", "Cbrt", "Conjugate", "Cosh", "Deg2rad", "Rad2deg", "DivideNoNan", "Erfc", "Erfinv", "Exp2",
    "Fabs", "FloorDivide", "Fmax", "Fmin", "Fmod", "Gcd", "Heaviside", "Hypot", "I0", "Imag", "Isclose", "Isfinite",
    "Isinf", "Isnan", "Isneginf", "Isposinf", "Isreal", "Lcm", "Ldexp", "Log10", "Log2", "Logaddexp", "Logaddexp2",
    "LogicalXor", "Mod", "NanToNum", "Nextafter", "Real", "SaturateCast", "Signbit", "Sinc", "Sinh",
    "SparseSigmoid", "Tan", "Trunc", "OnesLike", "ZerosLike",
)  # fmt: skip

OPERATIONS: dict[str, Callable[..., Any]] = {
    **{name: by_axis() for name in _BY_AXIS},
    **dict.fromkeys(_ONE_BY_ONE, elementwise),
    "TopK": by_axis(_last),
    "Percentile": quantile,
    "Quantile": quantile,
    "Digitize": digitize,
    "Moments": moments,
    "Var": variance,
    "Std": deviation,
    "Glu": gate,
}
"""Class name of a `keras.ops` operation -> lowering rule."""
