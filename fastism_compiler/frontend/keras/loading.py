"""Models from wherever users have them: in memory or in a file, Keras 3 or Keras 2."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from fastism_compiler.errors import ModelError
from fastism_compiler.frontend.keras import keras2


def load_model(model: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True) -> Any:
    """A Keras 3 model, from itself, from a Keras 2 model, or from a `.keras` or `.h5` file of either.

    Raises:
        ModelError: a file that is missing, damaged or not a model, or an
            object that is not a Keras model.
    """
    _check_backend()
    if isinstance(model, str | os.PathLike):
        model = _from_file(Path(model), custom_objects, safe_mode)
    if keras2.is_keras2(model):
        return keras2.convert(model)
    if not isinstance(model, keras.Model):
        raise ModelError("a Keras model is needed", expected="keras.Model or a path", got=type(model).__name__)
    return model


def _from_file(path: Path, custom_objects: Mapping[str, Any] | None, safe_mode: bool) -> Any:
    """A Keras 3 model, or a Keras 2 model where Keras 3 cannot read the file."""
    if not path.is_file():
        raise ModelError("the model file does not exist", expected="a .keras or .h5 file", got=str(path))
    try:
        return keras.models.load_model(path, custom_objects, compile=False, safe_mode=safe_mode)
    except Exception as error:
        advice = "not a Keras 2 file either"
        try:
            return keras2.load(path, custom_objects, safe_mode)
        except ImportError:
            advice = "if this is a Keras 2 file: pip install 'fastism-compiler[keras2]'"
        except Exception as older:
            advice += f" ({older})"
        raise ModelError("the model file could not be loaded", got=f"{path}: {error}; {advice}") from error


def _check_backend() -> None:
    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            "programs are emitted for TensorFlow",
            expected="KERAS_BACKEND=tensorflow",
            got=f"KERAS_BACKEND={keras.backend.backend()}",
        )
