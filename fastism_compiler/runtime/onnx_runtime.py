"""ONNX Runtime as a runtime: programs go there as ONNX models."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from fastism_compiler.emit.onnx import onnx_model, weight_name
from fastism_compiler.errors import UnsupportedError, first_line
from fastism_compiler.frontend.source import SourceModel, Weight
from fastism_compiler.host.onnx_device import OnnxDevice, OnnxValue
from fastism_compiler.runtime.foreign_engine import Flat

_INSTEAD = "compile with runtime='tensorflow'"


class OnnxRuntime:
    """A device of ONNX Runtime.

    Args:
        device: which.

    Attributes:
        name, where, gpu, memory, xla, lanes: as of every `Runtime`. A call has all threads of ONNX Runtime to itself.
    """

    xla = lanes = False

    def __init__(self, device: OnnxDevice) -> None:
        self._device = device
        self.name, self.where, self.gpu = "ONNX Runtime", device.kind, device.is_gpu
        self.memory: list[int] = []  # it does not say

    def place(self, tensor: Any) -> Any:
        """A tensor of any library as a value of ONNX Runtime, in its own dtype."""
        return self._device.value(tensor)

    def compiled(
        self, run: Flat, specs: Sequence[tf.TensorSpec], weights: Sequence[Weight], source: SourceModel | None
    ) -> Flat:
        """A function as a session of ONNX Runtime.

        Raises:
            UnsupportedError: an op without an ONNX equivalent, or one that ONNX Runtime does not have in this dtype.
        """
        named = [tf.TensorSpec(s.shape, s.dtype, name=f"tensor_{i}") for i, s in enumerate(specs)]
        names = [*(s.name for s in named), *(weight_name(i) for i in range(len(weights)))]
        model = onnx_model(run, named, weights, source, "result_{}".format, _INSTEAD)
        try:
            session = self._device.session(model)
        except Exception as error:  # ONNX Runtime raises what its own modules define
            raise UnsupportedError(
                "ONNX Runtime cannot run the program",
                expected="another version of ONNX Runtime, or runtime='tensorflow'",
                got=first_line(error),
            ) from error
        read = {value.name for value in session.get_inputs()}  # the converter drops what nothing reads
        if not read <= set(names):
            raise UnsupportedError(
                "a function of yours closes over a large tensor, which the converter to ONNX does not take",
                expected="a numpy array in its place, or runtime='tensorflow'",
                got=", ".join(sorted(read - set(names))),
            )
        results = [value.name for value in session.get_outputs()]

        def call(*tensors: OnnxValue) -> list[Any]:
            binding = session.io_binding()
            for name, tensor in zip(names, tensors, strict=True):
                if name in read:
                    binding.bind_ortvalue_input(name, tensor.held)
            for name in results:
                binding.bind_output(name, self._device.kind)
            session.run_with_iobinding(binding)
            return [OnnxValue(value) for value in binding.get_outputs()]

        return call
