"""A program as a Keras layer, to build on: design loops, regularisers, models of effects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from fastism_compiler.errors import InputError, UnsupportedError
from fastism_compiler.export.savedmodel import portable_of
from fastism_compiler.host.process import check_process
from fastism_compiler.mutations.layout import SequenceLayout
from fastism_compiler.mutations.letters import Tokens
from fastism_compiler.runtime.engine_program import EngineProgram


class ISMLayer(keras.layers.Layer):  # type: ignore[misc]  # Keras is untyped
    """Scores every change range of its input. Made by `CompiledISM.to_keras_layer`.

    `layer(x)` or `layer(x, replacement)` returns what `program(x, replacement)`
    does, as tensors: `[B, R, *out]` in the nest of the model's outputs.

    The source model's weights are the layer's, and train with it (batch
    normalisation stays in inference mode). Gradients reach them, the input and
    the replacement as they would through the model on whole mutants, even if a
    replacement equals the sequence. Layers that are called as they are have
    TensorFlow's own gradients. A row that only the model itself could score,
    such as one with an infinite reference, is NaN.

    Args:
        program: a compiled program.
        changed: returns the names of layers that compute something else than when the model was compiled.

    Raises:
        UnsupportedError: a program of a model that is no Keras model; when it is called, a model that was changed.
    """

    def __init__(self, program: EngineProgram, changed: Callable[[], list[str]] | None = None) -> None:
        super().__init__(name=f"ism_{program.name}")
        self.source = _layer_of(program)
        self._inputs, self._selection, self._changed = program.inputs, program.selection, changed
        portable = portable_of(program, jit=False, shortcut=False)
        self._scan = tf.function(portable.scan, autograph=False, reduce_retracing=True)
        columns = [] if isinstance(program.letters, Tokens) else [program.letters.columns]
        self._shape = [program.ranges.max_width, *columns]
        self.built = True

    def call(self, x: Any, replacement: Any = None) -> Any:
        """Scan `x` (as the model takes its inputs) with `replacement` `[w, C]` (tokens: `[w]`; default zeros)."""
        check_process()
        changed = self._changed() if self._changed is not None else []
        if changed:
            raise UnsupportedError(
                "the model was changed after this layer was made (LoRA, quantization, activations)",
                expected="program.to_keras_layer() once more",
                got=f"layers {', '.join(map(repr, changed[:3]))}",
            )
        inputs = self._flat(x)
        if replacement is None:
            replacement = tf.zeros(self._shape, inputs[self._inputs.sequence].dtype)
        replacement = tf.cast(replacement, inputs[self._inputs.sequence].dtype)
        return self._selection.pack(self._scan(inputs, tf.ensure_shape(replacement, self._shape)))

    def get_config(self) -> dict[str, Any]:
        """A compiled program has no configuration.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(
            "a layer made from a compiled program is not saved with a model; compile the source model again",
            got=self.name,
        )

    def _flat(self, x: Any) -> list[Any]:
        """The inputs in flat order, of the dtypes the program computes in.

        Raises:
            InputError: inputs of a wrong number or shape.
        """
        spec = self._inputs
        flat = [x[key] for key in spec.keys] if spec.keys else keras.tree.flatten(x)
        if len(flat) != len(spec.names):
            raise InputError("wrong number of inputs", expected=f"{len(spec.names)}: {spec.names}", got=len(flat))
        types = [spec.taken(position) for position in range(len(flat))]
        tensors = [tf.cast(tf.convert_to_tensor(t), type_.dtype) for t, type_ in zip(flat, types, strict=True)]
        for name, tensor, type_ in zip(spec.names, tensors, types, strict=True):
            if not tensor.shape.is_compatible_with(type_.shape):
                raise InputError("an input has the wrong shape", expected=str(type_), got=f"{name!r}: {tensor.shape}")
        if spec.layout is not None:
            tensors[spec.sequence] = _in_order(tensors[spec.sequence], spec.layout)
        return tensors


def _in_order(x: Any, layout: SequenceLayout) -> Any:
    """`[B, L, C]` from a tensor as the model takes it."""
    flat = tf.reshape(x, [-1, *layout.pair])
    return tf.transpose(flat, [0, 2, 1]) if layout.swapped else flat


def _layer_of(program: EngineProgram) -> keras.layers.Layer:
    """The source model, whose weights the layer takes for its own."""
    model = program.engines[0].source.model
    if not isinstance(model, keras.layers.Layer):
        raise UnsupportedError(
            "a Keras layer is made of a Keras model: the weights of another would not be the layer's",
            expected="keras.Model",
            got=f"{program.name}: {type(model).__name__}",
        )
    return model
