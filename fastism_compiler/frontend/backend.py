"""The backend of Keras, found out without importing Keras."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from fastism_compiler.errors import ModelError

_OURS = "tensorflow"


def check_backend() -> None:
    """Refuse Keras backends other than TensorFlow; quick, as Keras is not imported for this.

    Raises:
        ModelError: Keras runs, or would run, on another backend.
    """
    backend, source = _backend()
    if backend != _OURS:
        raise ModelError(
            "programs are emitted for TensorFlow; set KERAS_BACKEND before Keras is imported",
            expected=f"KERAS_BACKEND={_OURS}",
            got=f"{backend} ({source})",
        )


def _backend() -> tuple[str, str]:
    """The backend, and where it is set; looked up in the same order as Keras does."""
    keras = sys.modules.get("keras")
    if keras is not None and hasattr(keras, "backend"):
        return str(keras.backend.backend()), "Keras is imported already"
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"], "environment variable KERAS_BACKEND"
    file = _home() / "keras.json"
    try:
        settings = json.loads(file.read_text())
    except (OSError, ValueError):  # Keras ignores a file that it cannot read, too
        return _OURS, "the default"
    return str(settings.get("backend", _OURS)) if isinstance(settings, dict) else _OURS, str(file)


def _home() -> Path:
    if "KERAS_HOME" in os.environ:
        return Path(os.environ["KERAS_HOME"]).expanduser()
    home = Path("~").expanduser()
    return (home if os.access(home, os.W_OK) else Path("/tmp")) / ".keras"  # where Keras looks
