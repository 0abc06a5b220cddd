"""ONNX models from memory or from a file: read once, as data, and checked before anything is made of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto
from onnx.external_data_helper import load_external_data_for_tensor, uses_external_data
from onnx.inliner import inline_local_functions

from fastism_compiler.errors import ModelError, UnsupportedError, first_line

OURS = ("", "ai.onnx")
"""The domains of ONNX's own operators."""
_OLDEST = 9
"""Oldest opset that is read: in earlier ones, some operators mean something else."""


def read_proto(model: Any) -> ModelProto:
    """The model, its functions inlined and its weights loaded.

    Args:
        model: an `onnx.ModelProto`, which stays as it is, or the path of a file.

    Raises:
        ModelError: a file that is missing, damaged or no ONNX model, or without the files of its weights.
        UnsupportedError: an opset that is too old, or newer than the onnx package.
    """
    proto = _from_file(Path(model)) if isinstance(model, str | os.PathLike) else model
    _check_versions(proto)
    try:
        inlined = inline_local_functions(proto) if proto.functions else proto
        # without shapes: those of an exporter may be wrong where it left an axis open, and nothing here reads them
        onnx.checker.check_model(inlined)
    except (onnx.checker.ValidationError, RuntimeError, ValueError) as error:
        raise ModelError("not a valid ONNX model", got=first_line(error)) from error
    return inlined


def _from_file(path: Path) -> ModelProto:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError("the model file cannot be read", expected="an .onnx file", got=f"{path}: {error}") from error
    try:
        proto = onnx.load_model_from_string(content)
    except (DecodeError, ValueError, RuntimeError) as error:
        raise ModelError("not an ONNX file, or a damaged one", got=f"{path}: {first_line(error)}") from error
    if not proto.graph.node and not proto.graph.output:
        raise ModelError("not an ONNX file, or a damaged one", expected="a graph", got=str(path))
    for tensor in _tensors(proto):
        if uses_external_data(tensor):
            _load_beside(tensor, path)
    return proto


def _load_beside(tensor: TensorProto, path: Path) -> None:
    """Weights that lie in a file of their own, in the folder of the model or below it."""
    try:
        load_external_data_for_tensor(tensor, str(path.parent))
    except (onnx.checker.ValidationError, OSError, ValueError, RuntimeError) as error:
        location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "?")
        raise ModelError(
            "weights of the model are kept in another file, which cannot be read",
            expected=f"{location} beside {path.name}",
            got=first_line(error),
        ) from error
    tensor.data_location = TensorProto.DEFAULT
    del tensor.external_data[:]


def _tensors(proto: ModelProto) -> Iterator[TensorProto]:
    """Every tensor of a model: weights, and those that are attributes."""
    yield from proto.graph.initializer
    nodes = [*proto.graph.node, *(node for function in proto.functions for node in function.node)]
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                yield attribute.t


def opset_of(proto: ModelProto) -> int:
    """The version of ONNX's own operators."""
    return next((entry.version for entry in proto.opset_import if entry.domain in OURS), 1)


def _check_versions(proto: ModelProto) -> None:
    version, newest = opset_of(proto), onnx.defs.onnx_opset_version()
    if not _OLDEST <= version <= newest:
        raise UnsupportedError(
            "the model uses a version of ONNX's operators that is not known; export it with another opset_version, "
            "or use another version of the onnx package",
            expected=f"opset {_OLDEST} .. {newest} (onnx {onnx.__version__})",
            got=f"opset {version}",
        )
