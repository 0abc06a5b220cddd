"""ONNX models exported with a fixed number of sequences: the batch axis is made open where that is possible."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import ModelProto

_NAME = "batch"


def open_batch(proto: ModelProto) -> tuple[ModelProto, bool]:
    """The model with an open batch axis on inputs and outputs, and whether it was exported with one sequence.

    A model that fixes the number elsewhere too is refused when it is lowered.
    """
    opened = ModelProto()
    opened.CopyFrom(proto)
    weights = {tensor.name for tensor in opened.graph.initializer}
    inputs = [value for value in opened.graph.input if value.name not in weights]
    shapes = [value.type.tensor_type.shape for value in (*inputs, *opened.graph.output)]
    one = any(s.dim and s.dim[0].dim_value == 1 for s in shapes[: len(inputs)])
    for shape in shapes:
        if shape.dim:
            shape.dim[0].dim_param = _NAME
    del opened.graph.value_info[:]
    return opened, one


def axis_of_sequences(before: int, shape: Sequence[int]) -> int | None:
    """The axis that takes the sequences in a shape that was written for one sequence; None: no axis can.

    All choices compute the same for each sequence. An axis with nothing else on it is best; then one before the last,
    which is often summed over.

    Args:
        before: number of elements that vary more slowly than the sequences (in row-major order).
        shape: for one sequence, of positive numbers.
    """
    found = []
    for axis, extent in enumerate(shape):
        slower, rest = divmod(before, math.prod(shape[:axis]))
        if not rest and slower and extent % slower == 0:
            found.append((slower != 1 or extent != 1, axis == len(shape) - 1, slower != 1, axis))
    return min(found)[-1] if found else None


def open_operators(proto: ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Let the operators of a model exported with one sequence take any number.

    Args:
        proto: the model, which is changed.
        shapes: target of each Reshape, by the name of its result; -1 on the axis of the sequences.
    """
    for node in proto.graph.node:
        if node.op_type == "Reshape" and node.output[0] in shapes:
            del node.attribute[:]
            # a constant of its own: another Reshape may share the old one and need -1 on another axis
            node.input[1] = f"{node.output[0]}/shape"
            shape = np.array(shapes[node.output[0]], np.int64)
            proto.graph.initializer.append(onnx.numpy_helper.from_array(shape, node.input[1]))
        elif node.op_type in ("LSTM", "GRU", "RNN"):
            for state in range(5, min(len(node.input), 7)):
                node.input[state] = ""  # zeros (the rule refuses others), which is also the default
