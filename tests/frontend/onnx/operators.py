"""A small graph for every operator and most of their options: how it is built, and what becomes of a window."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from benchmarks.onnx_nets import Net

CHANNELS, LENGTH = 4, 12
RNG = np.random.default_rng(1)

Build = Callable[[Net], Any]


@dataclass(frozen=True)
class Case:
    """One graph.

    Attributes:
        build: adds the operators; returns one output, or several.
        window: the first output may differ from the reference in a window, and nowhere else.
        shape: of the sequence.
        dtype: of the sequence.
        opset: version of the operators.
        kind: of the outputs.
    """

    build: Build
    window: bool = True
    shape: tuple[int, ...] = (CHANNELS, LENGTH)
    dtype: int = TensorProto.FLOAT
    opset: int = 18
    kind: int = TensorProto.FLOAT


def built(case: Case) -> Any:
    """The ONNX model of a case."""
    net = Net(*case.shape, dtype=case.dtype, opset=case.opset)
    outputs = case.build(net)
    outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    return net.model(*outputs, dtypes=[case.kind] * len(outputs))


def _op(kind: str, *operands: Any, **attributes: Any) -> Build:
    return lambda n: n.add(kind, n.x, *operands, **attributes)


def _positive(kind: str) -> Build:
    """A function of numbers above 1."""
    return lambda n: n.add(kind, n.add("Add", n.add("Abs", n.x), np.float32(1.5)))


def _small(kind: str) -> Build:
    """A function of numbers between -1 and 1."""
    return lambda n: n.add(kind, n.add("Mul", n.add("Tanh", n.x), np.float32(0.9)))


def _truth(kind: str) -> Build:
    def build(n: Net) -> Any:
        a, b = n.add("Greater", n.x, np.float32(0)), n.add("Less", n.x, np.float32(0.5))
        made = n.add(kind, a) if kind == "Not" else n.add(kind, a, b)
        return n.add("Cast", made, to=TensorProto.FLOAT)

    return build


def _compared(kind: str) -> Build:
    return lambda n: n.add("Where", n.add(kind, n.x, np.float32(0.1)), n.x, np.float32(2))


def _weights(*sizes: int) -> Any:
    return RNG.standard_normal(sizes).astype("float32")


def _ints(*values: int) -> Any:
    return np.array(values, np.int64)


UNARY = ("Abs", "Ceil", "Cos", "Cosh", "Elu", "Celu", "Erf", "Exp", "Floor", "HardSigmoid", "HardSwish", "Identity",
         "LeakyRelu", "Mish", "Neg", "Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign",
         "Tan", "Tanh", "ThresholdedRelu", "Asinh", "Atan")  # fmt: skip
REDUCTIONS = ("ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd",
              "ReduceSum", "ReduceSumSquare")  # fmt: skip


def _two(kind: str) -> Build:
    return lambda n: n.add(kind, n.x, n.add("Relu", n.x))


def _batch_norm(n: Net) -> Any:
    values = [_weights(CHANNELS) for _ in range(3)]
    return n.add("BatchNormalization", n.x, *values, np.abs(_weights(CHANNELS)) + 0.5)


def _rnn(kind: str, gates: int, direction: str = "bidirectional", **attributes: Any) -> Build:
    def build(n: Net) -> Any:
        count, units = 2 if direction == "bidirectional" else 1, 3
        x = n.add("Transpose", n.x, perm=[2, 0, 1])
        parts = [_weights(count, gates * units, CHANNELS), _weights(count, gates * units, units),
                 _weights(count, 2 * gates * units)]  # fmt: skip
        results = 3 if kind == "LSTM" else 2
        made = n.add(kind, x, *parts, results=results, hidden_size=units, direction=direction, **attributes)
        every = n.add("Transpose", made[0], perm=[2, 1, 3, 0])
        return every, *(n.add("Transpose", last, perm=[1, 0, 2]) for last in made[1:])

    return build


def _attention(n: Net) -> Any:
    """Heads as PyTorch exports them: sequences and heads on one axis."""
    x = n.add("Transpose", n.x, perm=[2, 0, 1])
    shape = n.add("Shape", x)
    count = n.add("Gather", shape, np.int64(1), axis=0)
    folded = n.add(
        "Concat", _ints(LENGTH), n.add("Unsqueeze", n.add("Mul", count, np.int64(2)), _ints(0)), _ints(2), axis=0
    )
    heads = []
    for _ in range(3):
        made = n.add("Reshape", n.add("MatMul", x, (CHANNELS, 4)), folded)
        heads.append(n.add("Transpose", made, perm=[1, 0, 2]))
    scores = n.add("MatMul", heads[0], n.add("Transpose", heads[1], perm=[0, 2, 1]))
    made = n.add("MatMul", n.add("Softmax", n.add("Mul", scores, np.float32(0.7)), axis=-1), heads[2])
    back = n.add("Reshape", n.add("Transpose", made, perm=[1, 0, 2]), n.add("Concat", _ints(LENGTH), n.add(
        "Unsqueeze", count, _ints(0)), _ints(4), axis=0))  # fmt: skip
    return n.add("Transpose", back, perm=[1, 0, 2])


def _pool_by_attention(n: Net) -> Any:
    """Enformer's: pairs of positions, weighted by a softmax of a product of their channels."""
    pairs = n.add("Reshape", n.x, _ints(0, CHANNELS, LENGTH // 2, 2))
    scores = n.add("Einsum", pairs, (CHANNELS, CHANNELS), equation="bclp,cd->bdlp")
    return n.add("ReduceSum", n.add("Mul", pairs, n.add("Softmax", scores, axis=-1)), _ints(-1), keepdims=0)


def _rows(n: Net) -> Any:
    """The positions of all sequences one below the other."""
    x = n.add("Reshape", n.add("Transpose", n.x, perm=[0, 2, 1]), _ints(-1, CHANNELS))
    made = n.add("Relu", n.add("Gemm", x, (5, CHANNELS), (5,), transB=1))
    return n.add("Reshape", made, _ints(-1, LENGTH, 5))


def _flat(n: Net) -> Any:
    made = n.add("Gemm", n.add("Relu", n.add("Flatten", n.x)), (CHANNELS * LENGTH, 6), (6,), alpha=0.5, beta=2.0)
    return n.add("Add", made, n.add("MatMul", n.add("Flatten", n.x), (CHANNELS * LENGTH, 6)))


def _repeated(n: Net, value: Any, axis: int = 0) -> Any:
    """A constant `[1, ...]`, for each sequence; these on another axis."""
    count = n.add("Unsqueeze", n.add("Gather", n.add("Shape", n.x), np.int64(0), axis=0), _ints(0))
    shape = n.add("Concat", count, _ints(*value.shape[1:]), axis=0)
    made = n.add("Expand", n.weight(value), shape)
    return made if axis == 0 else n.add("Transpose", made, perm=[1, 0, 2])


def _turned_concat(n: Net) -> Any:
    """Sequences on the second axis, between two constants."""
    x = n.add("Transpose", n.x, perm=[1, 0, 2])
    parts = _repeated(n, _weights(1, 2, LENGTH), 1), x, _repeated(n, np.ones((1, 1, LENGTH), "float32"), 1)
    return n.add("Transpose", n.add("Concat", *parts, axis=0), perm=[1, 0, 2])


def _last_states(n: Net, number: int) -> Any:
    """One of the results of an LSTM, the others left out."""
    x = n.add("Transpose", n.x, perm=[2, 0, 1])
    names = ["", "", ""]
    names[number] = "state"
    parts = [n.weight(_weights(1, 12, CHANNELS)), n.weight(_weights(1, 12, 3)), n.weight(_weights(1, 24))]
    n.nodes.append(helper.make_node("LSTM", [x, *parts], names, name="LSTM", hidden_size=3))
    return n.add("Squeeze", "state", _ints(0))


def _both_strands(n: Net, way: str) -> Any:
    """Both strands as twice as many sequences, and their mean."""
    turned = n.add("Slice", n.x, _ints(-1, -1), _ints(-(2**63), -(2**63)), _ints(1, 2), _ints(-1, -1))
    both = n.add("Concat", n.x, turned, axis=0)
    made = n.add("MaxPool", n.add("Relu", n.add("Conv", both, (3, CHANNELS, 3), (3,))), kernel_shape=[2], strides=[2])
    if way == "view":
        apart = n.add("Reshape", made, _ints(2, -1, 3, 5))
        return n.add("ReduceMean", apart, _ints(0), keepdims=0)
    if way == "chunk":
        first, second = n.add("Split", made, results=2, axis=0, num_outputs=2)
    else:
        count = n.add("Gather", n.add("Shape", n.x), _ints(0), axis=0)
        first = n.add("Slice", made, _ints(0), count, _ints(0))
        second = n.add("Slice", made, count, _ints(2**62), _ints(0))
    return n.add("Max", first, n.add("Slice", second, _ints(-1), _ints(-(2**63)), _ints(2), _ints(-1)))


def _top(n: Net, **attributes: Any) -> Any:
    return n.add("TopK", n.x, _ints(2), results=2, axis=1, **attributes)


def _in_parts(n: Net) -> str:
    """The sequence, its channels as two pairs of which each holds one of either."""
    pairs = n.add("Reshape", n.x, _ints(0, 2, CHANNELS // 2, LENGTH))
    return n.add("Reshape", n.add("Transpose", pairs, perm=[0, 2, 1, 3]), _ints(0, CHANNELS, LENGTH))


CASES: dict[str, Case] = {
    **{kind: Case(_op(kind)) for kind in UNARY},
    **{kind: Case(_positive(kind)) for kind in ("Log", "Reciprocal", "Sqrt", "Acosh")},
    **{kind: Case(_small(kind)) for kind in ("Acos", "Asin", "Atanh")},
    **{kind: Case(_truth(kind)) for kind in ("And", "Or", "Xor", "Not")},
    **{kind: Case(_compared(kind)) for kind in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")},
    **{kind: Case(_two(kind)) for kind in ("Add", "Sub", "Mul", "Max", "Min", "Mean", "Sum")},
    **{f"{kind} of channels": Case(_op(kind, _ints(1)), opset=18) for kind in REDUCTIONS if kind != "ReduceSum"},
    **{f"{kind} of positions": Case(_op(kind, axes=[2], keepdims=0), window=False, opset=13)
       for kind in ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceLogSumExp")},
    "ReduceSum": Case(_op("ReduceSum", _ints(-2), keepdims=0)),
    "ReduceLogSum": Case(lambda n: n.add("ReduceLogSum", n.add("Exp", n.x), _ints(1))),
    "no reduction": Case(_op("ReduceSum", noop_with_empty_axes=1)),
    "Elu with alpha": Case(_op("Elu", alpha=0.5)),
    "Celu with alpha": Case(_op("Celu", alpha=0.5)),
    "LeakyRelu with alpha": Case(_op("LeakyRelu", alpha=0.3)),
    "HardSigmoid with alpha": Case(_op("HardSigmoid", alpha=0.4, beta=0.3)),
    "ThresholdedRelu with alpha": Case(_op("ThresholdedRelu", alpha=0.2)),
    "Gelu": Case(_op("Gelu"), opset=20),
    "Gelu by tanh": Case(_op("Gelu", approximate="tanh"), opset=20),
    "Swish": Case(_op("Swish", alpha=1.5), opset=24),
    "Swish of 1": Case(_op("Swish"), opset=24),
    "Shrink": Case(_op("Shrink", lambd=0.3, bias=0.3)),
    "hard Shrink": Case(_op("Shrink", lambd=0.3)),
    "PRelu": Case(_op("PRelu", np.abs(_weights(CHANNELS, 1)))),
    "Pow 2": Case(_op("Pow", np.float32(2))),
    "Pow": Case(lambda n: n.add("Pow", n.add("Abs", n.x), np.float32(1.7))),
    "Pow of": Case(lambda n: n.add("Pow", np.float32(1.7), n.x)),
    "Div": Case(lambda n: n.add("Div", n.x, n.add("Exp", n.x))),
    "Mod": Case(lambda n: n.add("Mod", n.x, np.float32(0.4), fmod=1)),
    "Clip": Case(_op("Clip", np.float32(-0.2), np.float32(0.6))),
    "Clip below": Case(_op("Clip", np.float32(-0.2))),
    "Clip by attributes": Case(_op("Clip", min=-0.2, max=0.3), opset=9),
    "IsNaN": Case(lambda n: n.add("Where", n.add("IsNaN", n.x), np.float32(0), n.x)),
    "IsInf": Case(lambda n: n.add("Where", n.add("IsInf", n.x), np.float32(0), n.x)),
    "Cast": Case(_op("Cast", to=TensorProto.DOUBLE), kind=TensorProto.DOUBLE),
    "CastLike": Case(_op("CastLike", np.zeros(1)), kind=TensorProto.DOUBLE),
    "Dropout": Case(_op("Dropout")),
    "constants of several shapes": Case(
        lambda n: n.add("Mul", n.add("Add", n.x, (CHANNELS, 1)), n.weight(_weights(1, CHANNELS, LENGTH)))
    ),
    "a wider constant": Case(lambda n: n.add("Add", n.add("ReduceMean", n.x, _ints(1)), (1, CHANNELS, 1))),
    # products
    "MatMul": Case(lambda n: n.add("MatMul", n.add("Transpose", n.x, perm=[0, 2, 1]), (CHANNELS, 5))),
    "MatMul from the left": Case(lambda n: n.add("MatMul", n.weight(_weights(5, CHANNELS)), n.x)),
    "MatMul of positions": Case(_op("MatMul", (LENGTH, 5)), window=False),
    "MatMul of channels in two parts": Case(lambda n: n.add("MatMul", n.weight(_weights(5, CHANNELS)), _in_parts(n))),
    "Einsum of channels in other parts": Case(lambda n: n.add("Einsum", _in_parts(n), n.x, equation="bcl,bcl->bl")),
    "MatMul of several": Case(
        lambda n: n.add("MatMul", n.add("Transpose", n.x, perm=[0, 2, 1]), n.weight(_weights(1, CHANNELS, 5)))
    ),
    "MatMul by a vector": Case(
        lambda n: n.add("MatMul", n.add("Transpose", n.x, perm=[0, 2, 1]), n.weight(_weights(CHANNELS)))
    ),
    "Gemm after Flatten": Case(_flat, window=False),
    "rows of all sequences": Case(_rows),
    "Einsum": Case(_op("Einsum", (CHANNELS, 3), equation="bcl,cd->bld")),
    "attention": Case(_attention, window=False),
    "attention pool": Case(_pool_by_attention),
    # convolutions and pools
    "Conv": Case(_op("Conv", (5, CHANNELS, 3), (5,), pads=[1, 1])),
    "Conv with unequal pads": Case(_op("Conv", (5, CHANNELS, 4), pads=[3, 0])),
    "Conv with strides": Case(_op("Conv", (5, CHANNELS, 3), strides=[2], dilations=[2])),
    "Conv same": Case(_op("Conv", (5, CHANNELS, 4), auto_pad="SAME_UPPER")),
    "Conv same below": Case(_op("Conv", (5, CHANNELS, 4), auto_pad="SAME_LOWER")),
    "Conv valid": Case(_op("Conv", (5, CHANNELS, 4), auto_pad="VALID")),
    "Conv in groups": Case(_op("Conv", (6, 2, 3), group=2)),
    "Conv of each channel": Case(_op("Conv", (8, 1, 3), (8,), group=4, pads=[1, 1])),
    "Conv of two axes, one covered": Case(
        lambda n: n.add("Conv", n.add("Unsqueeze", n.x, _ints(1)), (5, 1, CHANNELS, 3), pads=[0, 1, 0, 1])
    ),
    "Conv of two axes, padded beside positions": Case(
        lambda n: n.add("Conv", n.add("Unsqueeze", n.x, _ints(-1)), (5, CHANNELS, 3, 1), auto_pad="SAME_UPPER")
    ),
    "Conv of two axes, one spare": Case(
        lambda n: n.add("Conv", n.add("Unsqueeze", n.x, _ints(-1)), (5, CHANNELS, 3, 1), (5,))
    ),
    "Conv of two axes, one tap": Case(
        lambda n: n.add("Conv", n.add("Reshape", n.x, _ints(0, CHANNELS, LENGTH // 2, 2)), (5, CHANNELS, 1, 1), (5,))
    ),
    "ConvTranspose": Case(_op("ConvTranspose", (CHANNELS, 5, 4), (5,), strides=[2], pads=[1, 1])),
    "ConvTranspose in groups": Case(_op("ConvTranspose", (CHANNELS, 3, 3), group=2, output_padding=[1], strides=[2])),
    "MaxPool": Case(_op("MaxPool", kernel_shape=[3], strides=[3])),
    "MaxPool, rounding up": Case(_op("MaxPool", kernel_shape=[5], strides=[5], ceil_mode=1)),
    "MaxPool, dilated": Case(_op("MaxPool", kernel_shape=[3], strides=[2], dilations=[2])),
    "AveragePool, dilated": Case(_op("AveragePool", kernel_shape=[3], strides=[1], dilations=[3]), opset=19),
    "MaxPool that overlaps": Case(_op("MaxPool", kernel_shape=[3], strides=[2], pads=[1, 1])),
    "AveragePool": Case(_op("AveragePool", kernel_shape=[3], strides=[2], pads=[1, 1])),
    "AveragePool of pads": Case(_op("AveragePool", kernel_shape=[3], pads=[1, 1], count_include_pad=1)),
    "MaxPool of two axes": Case(
        lambda n: n.add("MaxPool", n.add("Unsqueeze", n.x, _ints(2)), kernel_shape=[1, 4], strides=[1, 4])
    ),
    "GlobalMaxPool": Case(_op("GlobalMaxPool"), window=False),
    "GlobalAveragePool": Case(_op("GlobalAveragePool"), window=False),
    # norms
    "BatchNormalization": Case(_batch_norm),
    "LayerNormalization": Case(
        lambda n: n.add("LayerNormalization", n.add("Transpose", n.x, perm=[0, 2, 1]), (CHANNELS,), (CHANNELS,))
    ),
    "InstanceNormalization": Case(_op("InstanceNormalization", (CHANNELS,), (CHANNELS,)), window=False),
    "GroupNormalization": Case(
        _op("GroupNormalization", (CHANNELS,), (CHANNELS,), num_groups=2), window=False, opset=21
    ),
    "RMSNormalization": Case(
        lambda n: n.add("RMSNormalization", n.add("Transpose", n.x, perm=[0, 2, 1]), (CHANNELS,)), opset=23
    ),
    "LpNormalization": Case(_op("LpNormalization", axis=1)),
    "Softmax": Case(_op("Softmax", axis=1)),
    "Softmax of positions": Case(_op("Softmax", axis=-1), window=False),
    "old Softmax": Case(_op("Softmax", axis=1), window=False, opset=11),
    "LogSoftmax": Case(_op("LogSoftmax", axis=1)),
    "ArgMax": Case(_op("ArgMax", axis=1), kind=TensorProto.INT64),
    "ArgMax of a zero and a negative one": Case(
        lambda n: n.add("ArgMax", n.add("Mul", n.add("Relu", n.x), np.float32([[-1], [-2], [3], [1]])), axis=1),
        kind=TensorProto.INT64,
    ),
    "ArgMin": Case(_op("ArgMin", axis=1, keepdims=0), kind=TensorProto.INT64),
    "TopK": Case(lambda n: _top(n)[0]),
    "TopK of the smallest": Case(lambda n: _top(n, largest=0)[0]),
    "TopK, its number an attribute": Case(lambda n: n.add("TopK", n.x, k=2, axis=1, results=2)[0], opset=9),
    "Max, constants first": Case(lambda n: n.add("Max", n.weight((4, 1)), n.weight((4, 1)), n.x)),
    "places of TopK": Case(lambda n: _top(n)[1], kind=TensorProto.INT64),
    "CumSum": Case(_op("CumSum", np.int64(1))),
    "CumSum backwards": Case(_op("CumSum", np.int64(1), exclusive=1, reverse=1)),
    # arrangements
    "Concat": Case(lambda n: n.add("Concat", n.x, n.add("Relu", n.x), axis=1)),
    "Concat of positions": Case(lambda n: n.add("Concat", n.x, n.add("Conv", n.x, (CHANNELS, CHANNELS, 3)), axis=-1)),
    "Concat with zeros": Case(
        lambda n: n.add("Concat", _repeated(n, np.zeros((1, CHANNELS, 2), "float32")), n.x, n.x, axis=2)
    ),
    "Concat with constants": Case(
        lambda n: n.add("Concat", n.x, _repeated(n, _weights(1, CHANNELS, 2)), n.add("Relu", n.x), axis=2)
    ),
    "Concat with channels": Case(lambda n: n.add("Concat", _repeated(n, _weights(1, 2, LENGTH)), n.x, axis=1)),
    "Concat of turned sequences": Case(_turned_concat),
    "Expand": Case(lambda n: n.add("Expand", n.add("ReduceMean", n.x, _ints(1)), _ints(1, 5, LENGTH))),
    "Expand to a shape": Case(lambda n: n.add("Expand", n.add("ReduceMean", n.x, _ints(1)), n.add("Shape", n.x))),
    "Gather": Case(_op("Gather", _ints(3, 1, 0, -1), axis=1)),
    "Gather of one": Case(_op("Gather", np.int64(2), axis=1)),
    "Gather of a table": Case(_op("Gather", np.arange(6).reshape(2, 3) % 4, axis=1)),
    "GatherND": Case(
        lambda n: n.add("Transpose", n.add("GatherND", n.add("Transpose", n.x, perm=[1, 2, 0]), np.array(
            [[[0, 1], [-1, 2]]])), perm=[2, 0, 1]),
        window=False,
    ),
    "Pad": Case(_op("Pad", _ints(0, 0, 2, 0, 0, 3))),
    "Pad with a number": Case(_op("Pad", _ints(0, 0, 2, 0, 0, 3), np.float32(0.5))),
    "Pad that cuts": Case(_op("Pad", _ints(0, 0, -2, 0, 0, 1))),
    "Pad by reflection": Case(_op("Pad", _ints(0, 0, 2, 0, 0, 3), mode="reflect")),
    "Pad by the edge": Case(_op("Pad", _ints(0, 0, 2, 0, 0, 3), mode="edge")),
    "Reshape": Case(_op("Reshape", _ints(0, 2, 2, -1))),
    "Reshape across": Case(_op("Reshape", _ints(-1, 8, 6)), window=False),
    "Resize": Case(_op("Resize", None, np.array([1, 1, 2], "float32"), mode="nearest", nearest_mode="floor",
                       coordinate_transformation_mode="asymmetric")),
    "Resize, between two neighbours": Case(_op("Resize", None, np.array([1, 1, 2], "float32"), mode="linear")),
    "Resize, before it had modes": Case(_op("Resize", np.array([1, 1, 2], "float32"), mode="linear"), opset=10),
    "Resize, nearest, before it had modes": Case(_op("Resize", np.array([1, 1, 2], "float32")), opset=10),
    "Resize, an odd factor": Case(_op("Resize", None, np.array([1, 1, 3], "float32"), mode="linear",
                                      coordinate_transformation_mode="pytorch_half_pixel")),
    "Resize, from where positions begin": Case(_op("Resize", None, np.array([1, 1, 4], "float32"), mode="linear",
                                                   coordinate_transformation_mode="asymmetric")),
    "Upsample": Case(_op("Upsample", np.array([1, 1, 2], "float32"), mode="nearest"), opset=9),
    "Slice": Case(_op("Slice", _ints(2, 1), _ints(-1, 3), _ints(2, 1))),
    "Slice backwards": Case(_op("Slice", _ints(-1), _ints(-(2**63)), _ints(2), _ints(-1))),
    "Slice with steps": Case(_op("Slice", _ints(1), _ints(2**63 - 1), _ints(2), _ints(3))),
    "Split": Case(lambda n: n.add("Split", n.x, _ints(1, 3), results=2, axis=1)),
    "Split in equal parts": Case(lambda n: n.add("Split", n.x, results=2, axis=2, num_outputs=2)),
    "Squeeze": Case(lambda n: n.add("Squeeze", n.add("ReduceMean", n.x, _ints(1)), _ints(1))),
    "Tile": Case(_op("Tile", _ints(1, 2, 1))),
    "Transpose": Case(_op("Transpose", perm=[0, 2, 1])),
    "Unsqueeze": Case(_op("Unsqueeze", _ints(1, -1))),
    "sums of tensors in different orders": Case(
        lambda n: n.add("Add", n.x, n.add("Transpose", n.add("Conv", n.add("Transpose", n.add(
            "Reshape", n.x, _ints(0, LENGTH, CHANNELS)), perm=[0, 2, 1]), (CHANNELS, CHANNELS, 1)), perm=[0, 1, 2])),
        window=False,
    ),
    "an axis made up of other parts": Case(
        lambda n: n.add(
            "Add", n.add("Flatten", n.x), n.add("Flatten", n.add("Reshape", n.add("Relu", n.x), _ints(0, 3, -1)))
        ),
        window=False,
    ),
    # tokens
    **{f"both strands, by {way}": Case(lambda n, way=way: _both_strands(n, way)) for way in ("view", "chunk", "count")},
    "embedding": Case(
        lambda n: n.add("Gather", n.weight(_weights(6, 5)), n.x), shape=(LENGTH,), dtype=TensorProto.INT64
    ),
    "OneHot, counted from the last": Case(
        lambda n: n.add("OneHot", n.add("Sub", n.x, _ints(2)), np.int64(4), np.array([0, 1], "float32")),
        dtype=TensorProto.INT64,
        shape=(LENGTH,),
    ),
    "OneHot": Case(
        lambda n: n.add("OneHot", n.x, np.int64(5), np.array([0, 1], "float32")),
        shape=(LENGTH,),
        dtype=TensorProto.INT64,
    ),
    # recurrences
    "LSTM": Case(_rnn("LSTM", 4), window=False),
    "LSTM backwards": Case(_rnn("LSTM", 4, "reverse"), window=False),
    "LSTM, its last hidden state alone": Case(lambda n: _last_states(n, 1), window=False),
    "LSTM, its last cell state alone": Case(lambda n: _last_states(n, 2), window=False),
    "GRU": Case(_rnn("GRU", 3, linear_before_reset=1), window=False),
    "GRU that resets first": Case(_rnn("GRU", 3, "forward"), window=False),
    "RNN": Case(_rnn("RNN", 1, "forward", activations=["Relu"]), window=False),
}  # fmt: skip
