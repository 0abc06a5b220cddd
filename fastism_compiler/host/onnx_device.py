"""ONNX Runtime as a runtime: its device. It is imported when a program asks for it, and no earlier."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import onnx

from fastism_compiler.errors import UnsupportedError
from fastism_compiler.extras import library

_PROVIDERS: dict[str, list[Any]] = {
    "cuda": [("CUDAExecutionProvider", {"use_tf32": "0"}), "CPUExecutionProvider"],
    "cpu": ["CPUExecutionProvider"],
}
"""Strict float32 on GPUs, too: TensorFloat-32 is ONNX Runtime's default there."""


def onnx_library() -> Any:
    """The module `onnxruntime`.

    Raises:
        OptionError: it is not installed.
    """
    return library("onnxruntime", "runtime='onnxruntime'", "ONNX Runtime", "onnx")


class OnnxValue:
    """A tensor on a device of ONNX Runtime; numpy reads it as an array.

    Args:
        held: an `OrtValue`.
    """

    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self.held.numpy(), dtype)


@dataclass(frozen=True, slots=True)
class OnnxDevice:
    """A kind of device.

    Attributes:
        kind: `"cpu"`, or `"cuda"`.
    """

    kind: str

    @property
    def is_gpu(self) -> bool:
        """Whether it is a GPU."""
        return self.kind != "cpu"

    def value(self, tensor: Any) -> OnnxValue:
        """A tensor of any library on the device, in its own dtype.

        Raises:
            UnsupportedError: bfloat16.
        """
        if isinstance(tensor, OnnxValue):
            return tensor
        array = np.ascontiguousarray(tensor).reshape(np.shape(tensor))  # numpy makes a scalar a vector
        try:
            return OnnxValue(onnx_library().OrtValue.ortvalue_from_numpy(array, self.kind, 0))
        except RuntimeError as error:
            raise UnsupportedError(
                "ONNX Runtime does not take this dtype from numpy",
                expected="a model with float32 weights, or runtime='tensorflow'",
                got=str(array.dtype),
            ) from error

    def session(self, model: onnx.ModelProto) -> Any:
        """A session that runs a model here.

        Raises:
            Exception: what ONNX Runtime's own modules define, where it cannot run the model.
        """
        runtime = onnx_library()
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # errors are raised, and say the same
        return runtime.InferenceSession(model.SerializeToString(), options, providers=_PROVIDERS[self.kind])


def onnx_device() -> OnnxDevice:
    """The GPU that ONNX Runtime finds, or the CPU.

    Raises:
        OptionError: ONNX Runtime is not installed.
    """
    providers = onnx_library().get_available_providers()
    return OnnxDevice("cuda" if "CUDAExecutionProvider" in providers and _starts() else "cpu")


@cache
def _starts() -> bool:
    """Whether a GPU is there: ONNX Runtime built for CUDA names the provider in any case."""
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "probe", [x], [y])
    opset = [onnx.helper.make_opsetid("", 18)]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            session = OnnxDevice("cuda").session(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8))
    except Exception:  # ONNX Runtime raises what its own modules define
        return False
    return "CUDAExecutionProvider" in session.get_providers()
