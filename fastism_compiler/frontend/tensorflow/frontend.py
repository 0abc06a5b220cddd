"""The TensorFlow frontend: SavedModel folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from fastism_compiler.frontend.source import Frontend, ReadOptions, SourceModel
from fastism_compiler.frontend.tensorflow.frozen import FrozenFunction
from fastism_compiler.frontend.tensorflow.source import read_source


class TensorFlowFrontend(Frontend):
    """Reads folders that `tf.saved_model.save`, `keras.Model.export` or an exporter of another framework wrote."""

    def accepts(self, model: Any) -> bool:
        """The path of a folder, or the `FrozenFunction` read from one."""
        return isinstance(model, FrozenFunction) or (isinstance(model, str | os.PathLike) and os.path.isdir(model))

    def read(self, model: Any, options: ReadOptions) -> SourceModel:
        """The model's serving function, lowered operation by operation."""
        return read_source(model if isinstance(model, FrozenFunction) else Path(model), options)


FRONTEND = TensorFlowFrontend()
