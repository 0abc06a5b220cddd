"""TensorFlow ops that the converter leaves as they are, or gets wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto
from tf2onnx.utils import make_name, map_onnx_to_numpy_type

Handler = Callable[..., None]
"""`(converter graph, node, name, arguments)`: replaces the node."""
_SMALL = 0.5
"""Up to here `expm1` is taken from tanh, which keeps the digits that `exp(x) - 1` loses."""


class _Builder:
    """Builds the nodes that stand for one TensorFlow node."""

    def __init__(self, graph: Any, node: Any) -> None:
        self.graph, self.node = graph, node
        self.dtype = graph.get_dtype(node.output[0])
        self.shape = graph.get_shape(node.output[0])

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        return str(self.graph.make_node(kind, list(inputs), attr=attributes).output[0])

    def number(self, value: float) -> str:
        array = np.array(value, map_onnx_to_numpy_type(self.dtype))
        return str(self.graph.make_const(make_name("number"), array).output[0])

    def whole(self, value: int) -> str:
        return str(self.graph.make_const(make_name("whole"), np.array([value], np.int64)).output[0])

    def finish(self, kind: str, *inputs: str, **attributes: Any) -> None:
        name, outputs = self.node.name, self.node.output
        self.graph.remove_node(name)
        self.graph.make_node(
            kind, list(inputs), attr=attributes, name=name, outputs=outputs, shapes=[self.shape], dtypes=[self.dtype]
        )  # fmt: skip


def _erfc(graph: Any, node: Any, name: str, arguments: Any) -> None:
    build = _Builder(graph, node)
    build.finish("Sub", build.number(1), build.op("Erf", node.input[0]))


def _log1p(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """`log(u) * x / (u - 1)` with `u = 1 + x`, and `x` where `u` is 1: exact to rounding (Kahan's formula)."""
    build, x = _Builder(graph, node), node.input[0]
    one = build.number(1)
    u = build.op("Add", x, one)
    small = build.op("Equal", u, one)
    kept = build.op("Sub", u, one)
    log = build.op("Log", u)
    exact = build.op("Mul", log, build.op("Div", x, build.op("Where", small, one, kept)))
    infinite = build.op("IsInf", u)
    build.finish("Where", small, x, build.op("Where", infinite, log, exact))


def _expm1(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """`2 t / (1 - t)` with `t = tanh(x / 2)` near 0, `exp(x) - 1` elsewhere."""
    build, x = _Builder(graph, node), node.input[0]
    one, two = build.number(1), build.number(2)
    near = build.op("Less", build.op("Abs", x), build.number(_SMALL))
    t = build.op("Tanh", build.op("Div", build.op("Where", near, x, build.number(0)), two))
    small = build.op("Div", build.op("Mul", two, t), build.op("Sub", one, t))
    build.finish("Where", near, small, build.op("Sub", build.op("Exp", x), one))


def _sigmoid(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """`1 / (1 + z)` from 0 on, `z / (1 + z)` below, with `z = exp(-|x|)`: ONNX Runtime's own loses small values."""
    build, x = _Builder(graph, node), node.input[0]
    one = build.number(1)
    z = build.op("Exp", build.op("Neg", build.op("Abs", x)))
    positive = build.op("GreaterOrEqual", x, build.number(0))
    build.finish("Div", build.op("Where", positive, one, z), build.op("Add", one, z))


def _where(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """ONNX's own `Where`. The converter multiplies by masks and adds, and NaN times 0 is NaN.

    ONNX Runtime has it for numbers of 32 and 64 bits; others, truth values among them, are selected as int32.
    """
    build = _Builder(graph, node)
    condition, a, b = node.input
    native = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT32, TensorProto.INT64)
    if build.dtype in native:
        build.finish("Where", condition, a, b)
        return
    a, b = (build.op("Cast", x, to=TensorProto.INT32) for x in (a, b))
    build.finish("Cast", build.op("Where", condition, a, b), to=build.dtype)


def _dynamic_slice(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """XLA's slice of a constant size that begins anywhere inside."""
    build = _Builder(graph, node)
    x, begin, size = node.input
    build.finish("Slice", x, begin, build.op("Add", begin, size))


def _dynamic_update_slice(graph: Any, node: Any, name: str, arguments: Any) -> None:
    """XLA's update of a part: what is in front of it, the part, what is behind it, along the one axis it divides."""
    build = _Builder(graph, node)
    x, part, begin = node.input
    axes = [a for a, (n, m) in enumerate(zip(build.shape, graph.get_shape(part), strict=True)) if n != m]
    if len(axes) > 1:
        return  # left as it is, and refused by name
    axis = build.whole(axes[0] if axes else 0)
    first = build.op("Cast", build.op("Gather", begin, axis), to=TensorProto.INT64)
    end = build.op("Add", first, build.op("Gather", build.op("Shape", part), axis))
    front = build.op("Slice", x, build.whole(0), first, axis)
    back = build.op("Slice", x, end, build.whole(np.iinfo(np.int64).max), axis)
    build.finish("Concat", front, part, back, axis=axes[0] if axes else 0)


HANDLERS: dict[str, tuple[Handler, list[Any]]] = {
    "Erfc": (_erfc, []),
    "Log1p": (_log1p, []),
    "Expm1": (_expm1, []),
    "SelectV2": (_where, []),
    "Sigmoid": (_sigmoid, []),
    "XlaDynamicSlice": (_dynamic_slice, []),
    "XlaDynamicUpdateSlice": (_dynamic_update_slice, []),
}
"""For the converter: op name -> handler and its arguments."""
