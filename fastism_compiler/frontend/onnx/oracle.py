"""An ONNX model on whole sequences: ONNX Runtime, or ONNX's own reference where that is not installed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, TensorProto
from onnx.reference import ReferenceEvaluator

from fastism_compiler.errors import InputError, ModelError, first_line
from fastism_compiler.mutations.inputs import Array, InputSpec
from fastism_compiler.runtime.naive import in_batches

_SAME = 1e-3
"""Relative difference below which two runs of a model agree."""
_WIDE = {TensorProto.FLOAT: TensorProto.DOUBLE}


def has_runtime() -> bool:
    """Whether ONNX Runtime is installed."""
    return find_spec("onnxruntime") is not None


class OnnxRows:
    """Scores whole sequences with the model itself.

    Args:
        proto: the model, with an open batch.
        inputs: what it takes.
        rows: maximum number of sequences per call.
    """

    def __init__(self, proto: ModelProto, inputs: InputSpec, rows: int) -> None:
        self.rows = rows
        self._proto, self._inputs = proto, inputs
        self._chosen: Any = None

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Flat outputs `[n, *out]` for flat inputs `[n, ...]`, the sequence as `[n, L, C]` or tokens."""
        if not has_runtime():
            return self._in_batches(self._reference, inputs)
        if self._chosen is None:
            self._chosen = self._optimised if self._agree(inputs) else self._plain
        return self._in_batches(self._chosen, inputs)

    def step_by_step(self, inputs: Sequence[Array]) -> list[Array]:
        """The same without graph optimisations, one operator at a time."""
        return self._in_batches(self._plain if has_runtime() else self._reference, inputs)

    def in_float64(self) -> Any:
        """The same in float64, by ONNX's reference: exact, and slow."""
        return _Float64Rows(widened(self._proto), self._inputs, self.rows)

    def _agree(self, inputs: Sequence[Array]) -> bool:
        """Whether ONNX Runtime's optimisers change only rounding: some versions get a transposed product wrong."""
        some = [x[:2] for x in inputs]
        pairs = zip(self._in_batches(self._optimised, some), self._in_batches(self._plain, some), strict=True)
        return all(
            np.allclose(a, b, rtol=_SAME, atol=_SAME * np.abs(b).max(initial=0), equal_nan=True) for a, b in pairs
        )

    def _in_batches(self, session: Any, inputs: Sequence[Array]) -> list[Array]:
        names = self._inputs.names

        def run(block: list[Array]) -> list[Any]:
            try:
                return list(session.run(None, dict(zip(names, block, strict=True))))
            except Exception as error:  # ONNX Runtime raises what its own modules define
                raise InputError("the model refuses these inputs", got=first_line(error)) from error

        return in_batches(run, self._inputs.as_taken(inputs), self.rows, pad=False)

    @cached_property
    def _optimised(self) -> Any:
        return _session(self._proto)

    @cached_property
    def _plain(self) -> Any:
        return _session(self._proto, optimised=False)

    @cached_property
    def _reference(self) -> Any:
        return ReferenceEvaluator(self._proto)


class _Float64Rows(OnnxRows):
    """The same by ONNX's reference, in float64."""

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        wide = [x.astype(np.float64) if x.dtype == np.float32 else x for x in inputs]
        return self._in_batches(self._reference, wide)


def _session(proto: ModelProto, *, optimised: bool = True) -> Any:
    import onnxruntime  # an extra, and a second to load

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises what its own modules define
        raise ModelError("ONNX Runtime cannot load the model", got=first_line(error)) from error


def widened(proto: ModelProto) -> ModelProto:
    """A copy of a model in float64: inputs, outputs, constants, and the targets of casts to float32."""
    wide = ModelProto()
    wide.CopyFrom(proto)
    for value in (*wide.graph.input, *wide.graph.output):
        kind = value.type.tensor_type
        kind.elem_type = _WIDE.get(kind.elem_type, kind.elem_type)
    del wide.graph.value_info[:]
    for tensor in wide.graph.initializer:
        _widen(tensor)
    for node in wide.graph.node:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                _widen(attribute.t)
            elif attribute.name in ("to", "dtype"):
                attribute.i = _WIDE.get(attribute.i, attribute.i)
    return wide


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        wide = onnx.numpy_helper.to_array(tensor).astype(np.float64)
        tensor.CopyFrom(onnx.numpy_helper.from_array(wide, tensor.name))
