"""The Keras frontend: Keras 3 models, Keras 2 models, and files of both."""

from __future__ import annotations

import os
from typing import Any

import keras

from fastism_compiler.frontend.builder import dtype_name
from fastism_compiler.frontend.keras import private
from fastism_compiler.frontend.keras.functional import functional_graph
from fastism_compiler.frontend.keras.inputs import find_sequence, input_spec, output_nest
from fastism_compiler.frontend.keras.keras2 import is_keras2
from fastism_compiler.frontend.keras.loading import load_with_digest
from fastism_compiler.frontend.keras.lowering import Lowered, lower
from fastism_compiler.frontend.keras.origin import KerasOrigin
from fastism_compiler.frontend.sequence import identifier, layout_notes, with_tokens
from fastism_compiler.frontend.source import Frontend, ModelInterface, ReadOptions, SourceModel
from fastism_compiler.ir.types import FLOATS


class KerasFrontend(Frontend):
    """Reads functional, Sequential, nested and subclassed models, and `.keras` and `.h5` files."""

    def accepts(self, model: Any) -> bool:
        """Any path, and any Keras model."""
        return isinstance(model, str | os.PathLike | keras.Model) or is_keras2(model)

    def read(self, model: Any, options: ReadOptions) -> SourceModel:
        """The model lowered call by call."""
        known, function = _described(model, options)
        lowered = lower(known.model, known.inputs, function)
        inputs = with_tokens(known.inputs, lowered.graph, private.embedding_rows(known.model))
        return SourceModel(
            model=known.model,
            name=known.name,
            inputs=inputs,
            nest=known.nest,
            output_names=known.output_names,
            output_dtypes=known.output_dtypes,
            origin=known.origin,
            sha256=known.sha256,
            graph=lowered.graph,
            bindings=lowered.bindings,
            notes=tuple(_notes(known, lowered, options.letters)),
        )

    def describe(self, model: Any, options: ReadOptions) -> ModelInterface:
        """The same without lowering: models that cannot be compiled are described too."""
        return _described(model, options)[0]


FRONTEND = KerasFrontend()


def _described(model: Any, options: ReadOptions) -> tuple[ModelInterface, Any]:
    """What a model takes and returns, and its functional graph."""
    model, sha256 = load_with_digest(model, options.custom_objects, options.safe_mode)
    function = functional_graph(model)
    position = find_sequence(function, options.seq_input)
    inputs = input_spec(function, position, options)
    interface = ModelInterface(
        model=model,
        name=identifier(model.name),
        inputs=inputs,
        nest=output_nest(function),
        output_names=tuple(str(name) for name in private.output_names(function)),
        output_dtypes=tuple(dtype_name(t.dtype) for t in function.outputs),
        origin=KerasOrigin(model, private.input_structure(function), inputs),
        sha256=sha256,
    )
    return interface, function


def _notes(known: ModelInterface, lowered: Lowered, letters: int | None) -> list[str]:
    """What users should know about this model."""
    dtypes = {str(layer.compute_dtype) for layer in private.layers_of(known.model)}
    notes = layout_notes(known.inputs, letters)
    notes += [f"{dtype} layers compute in float32; outputs are cast back" for dtype in sorted(dtypes & {*FLOATS[:2]})]
    notes += [f"{name}: values computed from weights in call() are frozen at compile time" for name in lowered.frozen]
    whole = lowered.declined.get(known.model.name)
    return [*notes, f"the model runs whole: {whole}"] if whole else notes
