"""The frontends: which of them reads a model."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fastism_compiler.errors import ModelError
from fastism_compiler.frontend.backend import check_backend
from fastism_compiler.frontend.source import Frontend, ModelInterface, ReadOptions, SourceModel
from fastism_compiler.host.process import check_process

# Names only: the modules are imported with the first model that is read, as a framework takes seconds to load. Keras
# comes last, as it accepts every path.
FRONTENDS: tuple[str, ...] = (
    "fastism_compiler.frontend.ensemble.frontend",
    "fastism_compiler.frontend.onnx.frontend",
    "fastism_compiler.frontend.tensorflow.frontend",
    "fastism_compiler.frontend.keras.frontend",
)
"""Modules with a `FRONTEND` each, in the order in which they are asked."""


def read_model(model: Any, options: ReadOptions | None = None) -> SourceModel:
    """A model, or the model in a file, as the compiler takes it.

    Raises:
        ModelError: not a model that a frontend reads; a Keras backend other than TensorFlow.
        UnsupportedError: a forked child of a process with TensorFlow.
        FastISMError: as `Frontend.read`.
    """
    return _frontend_for(model).read(model, options or ReadOptions())


def describe_model(model: Any, options: ReadOptions | None = None) -> ModelInterface:
    """What a model takes and returns.

    Raises:
        ModelError: not a model that a frontend reads; a Keras backend other than TensorFlow.
        UnsupportedError: a forked child of a process with TensorFlow.
        FastISMError: as `Frontend.describe`.
    """
    return _frontend_for(model).describe(model, options or ReadOptions())


def _frontend_for(model: Any) -> Frontend:
    check_process()
    check_backend()
    for module in FRONTENDS:
        frontend: Frontend = import_module(module).FRONTEND
        if frontend.accepts(model):
            return frontend
    raise ModelError(
        "a model is needed",
        expected="keras.Model, onnx.ModelProto, or the path of a .keras, .h5 or .onnx file or a SavedModel",
        got=type(model).__name__,
    )
