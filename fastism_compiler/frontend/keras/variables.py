"""Which variables a function reads while it runs."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


class VariablesRead(keras.StatelessScope):  # type: ignore[misc]  # Keras is untyped
    """A context that records whether a variable is read: any of Keras, or a trainable one of TensorFlow."""

    def __init__(self) -> None:
        super().__init__()
        self._of_keras = False
        self._tape = tf.GradientTape(persistent=True)

    def __enter__(self) -> VariablesRead:
        self._tape.__enter__()
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._tape.__exit__(*error)

    def get_current_value(self, variable: Any) -> Any:
        """Called by Keras for every variable that is read; None: its value is not replaced."""
        self._of_keras = True

    @property
    def any(self) -> bool:
        """Whether any was read."""
        return self._of_keras or bool(self._tape.watched_variables())
