"""Models that were exported with a fixed number of sequences, opened again where that can be done."""

from __future__ import annotations

import onnx
from onnx import ModelProto, ValueInfoProto

_NAME = "batch"


def open_batch(proto: ModelProto) -> ModelProto:
    """The model with an open batch axis on inputs and outputs; reshapes that fix one sequence take what is there.

    A model that fixes the number in another way is refused where it is lowered.
    """
    opened = ModelProto()
    opened.CopyFrom(proto)
    weights = {tensor.name for tensor in opened.graph.initializer}
    inputs = [value for value in opened.graph.input if value.name not in weights]
    fixed = [
        v for v in inputs if v.type.tensor_type.shape.dim and v.type.tensor_type.shape.dim[0].HasField("dim_value")
    ]
    for value in (*inputs, *opened.graph.output):
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = _NAME
    if fixed:
        _open_reshapes(opened, proto)
    del opened.graph.value_info[:]
    return opened


def _is_open(value: ValueInfoProto) -> bool:
    return not value.type.tensor_type.shape.dim[0].HasField("dim_value")


def _open_reshapes(opened: ModelProto, fixed: ModelProto) -> None:
    """Let reshapes of one sequence keep the number of sequences that comes in."""
    try:
        inferred = onnx.shape_inference.infer_shapes(fixed)
    except onnx.shape_inference.InferenceError:  # nothing is known, so nothing is changed
        return
    first = {v.name: v.type.tensor_type.shape.dim[0].dim_value for v in (*inferred.graph.value_info, *fixed.graph.input)
             if v.type.tensor_type.shape.dim}  # fmt: skip
    shapes = {tensor.name: tensor for tensor in opened.graph.initializer}
    shapes |= {n.output[0]: n.attribute[0].t for n in opened.graph.node if n.op_type == "Constant" and n.attribute}
    for node in opened.graph.node:
        if node.op_type != "Reshape" or first.get(node.input[0]) != 1 or node.input[1] not in shapes:
            continue
        shape = onnx.numpy_helper.to_array(shapes[node.input[1]]).copy()
        keeps_zeros = any(a.name == "allowzero" and a.i for a in node.attribute)
        if shape.size and shape[0] == 1 and not (keeps_zeros and 0 in shape):
            shape[0] = 0  # as many as come in
            del node.attribute[:]
            # a constant of its own: others may reshape to the same shape from another
            own = f"{node.output[0]}/opened"
            opened.graph.initializer.append(onnx.numpy_helper.from_array(shape, own))
            node.input[1] = own
