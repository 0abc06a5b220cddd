"""Models from wherever users have them: in memory or in a file, Keras 3 or Keras 2.

All Keras model files come in here: a file is read as data, and checked,
before Keras sees it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras

from fastism_compiler.errors import ModelError
from fastism_compiler.frontend.keras import keras2
from fastism_compiler.frontend.keras.check_config import check_config, check_names, known_names
from fastism_compiler.frontend.keras.file_config import FileConfig, ModelFile, check_links, opened, read_config


def load_model(model: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True) -> Any:
    """A Keras 3 model, from itself, from a Keras 2 model, or from a `.keras` or `.h5` file of either.

    Args:
        model: a model, or the path of a file.
        custom_objects: classes and functions that the file may name besides those of Keras, by name. Those
            registered with Keras need not be given.
        safe_mode: refuse files that hold Python code, or name anything that is neither on the list of
            `frontend/keras/allowed.py`, nor registered with Keras, nor in `custom_objects`. False: trust the file as
            you trust a program.

    Raises:
        ModelError: a file that is missing, damaged, not a model, of weights only, without its custom classes, or
            refused by `safe_mode`; an object that is not a Keras model.
    """
    return load_with_digest(model, custom_objects, safe_mode)[0]


def load_with_digest(model: Any, custom_objects: Mapping[str, Any] | None, safe_mode: bool) -> tuple[Any, str]:
    """The same model, and the SHA-256 of the bytes that it was loaded from (empty: it came from no file).

    Raises:
        ModelError: as `load_model`.
    """
    digest = ""
    if isinstance(model, str | os.PathLike):
        with opened(Path(model)) as file:
            model, digest = _from_file(file, custom_objects, safe_mode), file.sha256
    if keras2.is_keras2(model):
        return keras2.convert(model), digest
    if not isinstance(model, keras.Model):
        raise ModelError("a Keras model is needed", expected="keras.Model or a path", got=type(model).__name__)
    return model, digest


def _from_file(file: ModelFile, custom_objects: Mapping[str, Any] | None, safe_mode: bool) -> Any:
    """A Keras 3 model, or a Keras 2 model where Keras 3 cannot read the file."""
    config = read_config(file)
    known = known_names(custom_objects, keras)
    if safe_mode:
        check_config(config, known)
        if not config.archive:  # Keras checks the links of an archive itself
            check_links(file)
    try:
        return keras.models.load_model(file.copy, custom_objects, compile=False, safe_mode=safe_mode)
    except Exception as error:
        if config.version.startswith("3."):
            check_names(config, known)
            raise ModelError("the model file could not be loaded", got=f"{file.path}: {_reason(error)}") from error
        return _from_keras_2(config, custom_objects, safe_mode, error)


def _from_keras_2(
    config: FileConfig, custom_objects: Mapping[str, Any] | None, safe_mode: bool, newer: Exception
) -> Any:
    """A Keras 2 model, from a file that Keras 3 cannot read."""
    advice = "not a Keras 2 file either"
    try:
        return keras2.load(config, custom_objects, safe_mode)
    except ModelError:
        raise
    except ImportError:
        advice = "if this is a Keras 2 file: pip install 'fastism-compiler[keras2]'"
    except Exception as older:
        advice += f" ({_reason(older)})"
    raise ModelError("the model file could not be loaded", got=f"{config.path}: {_reason(newer)}; {advice}") from newer


def _reason(error: Exception) -> str:
    """The line of Keras's message that says what went wrong, without the configurations it prints around it."""
    innermost = str(error).rpartition("Exception encountered: ")[2].strip()
    return innermost.partition("\n")[0].partition(" Full object config")[0] or type(error).__name__
