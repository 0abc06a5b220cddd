"""Models that were exported with a fixed number of sequences, opened again where that can be done."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import ModelProto

_NAME = "batch"


def open_batch(proto: ModelProto) -> tuple[ModelProto, bool]:
    """The model with an open batch axis on inputs and outputs, and whether it had one sequence there.

    A model that fixes the number in another way is refused where it is lowered.
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
    """Where any number of sequences belongs in a shape that was written for one: on which axis.

    All choices compute the same of each sequence. The best is an axis of its own; then one in front of the last,
    which is often summed over.

    Args:
        before: elements that are slower than the sequences.
        shape: for one sequence, of positive numbers.
    """
    found = []
    for axis, extent in enumerate(shape):
        slower, rest = divmod(before, math.prod(shape[:axis]))
        if not rest and slower and extent % slower == 0:
            found.append((slower != 1 or extent != 1, axis == len(shape) - 1, slower != 1, axis))
    return min(found)[-1] if found else None


def open_operators(proto: ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Let the operators of a model of one sequence take any number.

    Args:
        proto: the model, which is changed.
        shapes: of what it reshapes, by name; -1 on the axis of the sequences.
    """
    for node in proto.graph.node:
        if node.op_type == "Reshape" and node.output[0] in shapes:
            del node.attribute[:]
            # a constant of its own: others may reshape to the same shape from another
            node.input[1] = f"{node.output[0]}/shape"
            shape = np.array(shapes[node.output[0]], np.int64)
            proto.graph.initializer.append(onnx.numpy_helper.from_array(shape, node.input[1]))
        elif node.op_type in ("LSTM", "GRU", "RNN"):
            for state in range(5, min(len(node.input), 7)):
                node.input[state] = ""  # zeros, or the rule had refused it; they are so where nothing is given
