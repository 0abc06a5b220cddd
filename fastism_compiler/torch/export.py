"""A PyTorch module as an ONNX model with an open batch."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import onnx
import torch
from onnx import ModelProto

from fastism_compiler.errors import UnsupportedError, first_line
from fastism_compiler.torch.triton_first import without_triton

_EXAMPLES = 2
"""Sequences of the example: with one, PyTorch takes the batch for a constant."""
_OPSET = 18


def export_module(module: torch.nn.Module, inputs: Sequence[torch.Tensor]) -> ModelProto:
    """Export the module in inference mode, with its current weights.

    Args:
        module: takes `inputs` as its arguments.
        inputs: an example of each, sequences first; one sequence is enough.

    Raises:
        UnsupportedError: neither of PyTorch's exporters can export it; with the errors of both.
    """
    examples = tuple(x[:1].repeat(_EXAMPLES, *[1] * (x.ndim - 1)) for x in inputs)
    said = []
    with _in_inference(module), torch.no_grad(), _quiet(), without_triton():
        for dynamo in (True, False):
            try:
                return _exported(module, examples, dynamo)
            except Exception as error:  # whatever tracing a user's module raises
                said.append(f"dynamo={dynamo}: {type(error).__name__}: {first_line(error)}")
    raise UnsupportedError(
        "PyTorch cannot export this module to ONNX; torch.onnx.export says more",
        expected="a module without branches on the values of tensors",
        got="; ".join(said),
    )


def _exported(module: torch.nn.Module, examples: tuple[torch.Tensor, ...], dynamo: bool) -> ModelProto:
    names = [f"input_{i}" for i in range(len(examples))]
    if dynamo:
        batch = torch.export.Dim("batch")
        shapes = tuple({0: batch} for _ in examples)
        made = torch.onnx.export(
            module, examples, input_names=names, dynamo=True, dynamic_shapes=shapes, opset_version=_OPSET, verbose=False
        )
        if made is None:
            raise RuntimeError("nothing was exported")
        return made.model_proto
    file = io.BytesIO()
    axes = {name: {0: "batch"} for name in names}
    torch.onnx.export(
        module, examples, file, input_names=names, dynamo=False, dynamic_axes=axes, opset_version=_OPSET - 1
    )
    return onnx.load_model_from_string(file.getvalue())


@contextmanager
def _in_inference(module: torch.nn.Module) -> Iterator[None]:
    """The module and its parts in inference; as they were, afterwards."""
    before = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in before:
            part.training = training


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters' logs and warnings: real problems raise, or show when results are compared."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
