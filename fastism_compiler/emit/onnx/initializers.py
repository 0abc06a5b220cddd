"""bind-weights: inputs that stand for weights become initializers under the weights' own names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from fastism_compiler.emit.onnx.scopes import rename_reads


def bind_weights(model: onnx.ModelProto, weights: Sequence[tuple[str, str, npt.NDArray[Any]]]) -> None:
    """Replace graph inputs by constants, in place.

    The model is converted with its weights as inputs, so that it is small
    while it is rewritten.

    Args:
        model: the model; no name in it may equal a new one.
        weights: `(input, new name, value)`.
    """
    bound = {name for name, _, _ in weights}
    inputs = [v for v in model.graph.input if v.name not in bound]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    rename_reads(model.graph, {name: new for name, new, _ in weights})
    for _, new, value in weights:
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ascontiguousarray(value), new))
