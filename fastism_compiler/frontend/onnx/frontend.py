"""The ONNX frontend: `onnx.ModelProto`, and `.onnx` files."""

from __future__ import annotations

import os
from typing import Any

from fastism_compiler.frontend.source import Frontend, ReadOptions, SourceModel


class OnnxFrontend(Frontend):
    """Reads `onnx.ModelProto` and `.onnx` files."""

    def accepts(self, model: Any) -> bool:
        """A model in memory, or a path that ends in `.onnx`."""
        kind = type(model)
        in_memory = kind.__name__ == "ModelProto" and kind.__module__.partition(".")[0] == "onnx"
        return in_memory or (isinstance(model, str | os.PathLike) and os.fspath(model).endswith(".onnx"))

    def read(self, model: Any, options: ReadOptions) -> SourceModel:
        """The model lowered operator by operator."""
        # late: it loads the onnx package, which Keras models do not need
        from fastism_compiler.frontend.onnx.source import read_source

        return read_source(model, options)


FRONTEND = OnnxFrontend()
