"""The ensemble frontend: each model is read by the frontend of its framework."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from fastism_compiler.errors import ModelError
from fastism_compiler.frontend.ensemble.merge import merged
from fastism_compiler.frontend.ensemble.models import Ensemble
from fastism_compiler.frontend.ensemble.origin import EnsembleOrigin
from fastism_compiler.frontend.registry import read_model
from fastism_compiler.frontend.source import Frontend, ReadOptions, SourceModel
from fastism_compiler.ir import Graph
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.inputs import InputSpec


class EnsembleFrontend(Frontend):
    """Reads `Ensemble`."""

    def accepts(self, model: Any) -> bool:
        """An `Ensemble`."""
        return isinstance(model, Ensemble)

    def read(self, model: Any, options: ReadOptions) -> SourceModel:
        """All models in one graph, their outputs combined in it.

        Raises:
            ModelError: models that take or return other things than the first.
            OptionError: a function to combine them that is not made of known `keras.ops`.
        """
        members = [read_model(one, options) for one in model.models]
        _check_alike(members)
        ensemble = replace(model, models=tuple(member.model for member in members))
        origin = EnsembleOrigin(tuple(member.origin for member in members), ensemble)
        graph, bindings = merged(members)
        first = members[0]
        nest, names, dtypes = first.nest, first.output_names, first.output_dtypes
        if ensemble.combine is None:
            nest, names, dtypes = _all_outputs(members)
        else:
            _check_combine(ensemble, graph)
            results = origin.append(graph, bindings, ensemble.combined)
            if results is None or len(results) != len(names):
                raise OptionError(
                    "combine= cannot become part of the program",
                    expected="a function of a list of tensors, made of keras.ops that have a rule",
                    got=repr(ensemble.combine),
                )
            graph.outputs = results
            dtypes = tuple(node.type.dtype for node in results)
        return SourceModel(
            model=ensemble,
            name=first.name,
            inputs=_common_inputs(members),
            nest=nest,
            output_names=names,
            output_dtypes=dtypes,
            origin=origin,
            sha256=_digest(members, ensemble),
            graph=graph,
            bindings=bindings,
            notes=_notes(members, ensemble),
        )


FRONTEND = EnsembleFrontend()


def _check_alike(members: Sequence[SourceModel]) -> None:
    """Refuse models that do not take and return the same."""
    first = members[0]
    for number, member in enumerate(members):
        for what, one, other in (
            ("inputs", first.inputs.types, member.inputs.types),
            ("keys of inputs", first.inputs.keys, member.inputs.keys),
            ("layout of the sequence", first.inputs.layout, member.inputs.layout),
            ("number of the mutated input", first.inputs.sequence, member.inputs.sequence),
            ("order of inputs", first.inputs.names, _reordered(first.inputs.names, member.inputs.names)),
            ("outputs", [n.type for n in first.graph.outputs], [n.type for n in member.graph.outputs]),
            ("nest of outputs", first.nest, member.nest),
        ):
            if one != other:
                raise ModelError(
                    f"the models of an ensemble take and return the same: {what} of model {number} differ",
                    expected=_shown(one),
                    got=_shown(other),
                )


def _reordered(names: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    """The names of another model's inputs if one of them is at another place; names that differ go by their order."""
    moved = any(name in names and names.index(name) != place for place, name in enumerate(other))
    return other if moved else names


def _common_inputs(members: Sequence[SourceModel]) -> InputSpec:
    """What every model takes: of tokens, those that all of them know."""
    specs = [member.inputs for member in members]
    known = [spec.vocabulary for spec in specs if spec.vocabulary is not None]
    rows = [
        min((count for count in counts if count is not None), default=None)
        for counts in zip(*[spec.vocabularies for spec in specs], strict=False)
    ]
    return replace(specs[0], vocabulary=min(known, default=None), vocabularies=tuple(rows))


def _check_combine(ensemble: Ensemble, graph: Graph) -> None:
    """Call the function once, so that what it raises is told.

    Raises:
        OptionError: it raised something, or made several tensors of a list.
    """
    import tensorflow as tf  # takes seconds

    try:
        ensemble.combined([tf.ones([1, *n.type.shape[1:]], n.type.dtype) for n in graph.outputs])
    except OptionError:
        raise
    except Exception as error:
        raise OptionError(
            "combine= failed when it was called with a list of tensors",
            expected="a function of one output of every model, made of keras.ops",
            got=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}",
        ) from error


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _all_outputs(members: Sequence[SourceModel]) -> tuple[Any, tuple[str, ...], tuple[str, ...]]:
    """The nest, names and dtypes where the outputs of all models are kept: a list with what each model returns."""
    import tensorflow as tf  # takes seconds

    count = len(members[0].output_names)
    nest = [
        tf.nest.map_structure(lambda k, begin=number * count: begin + k, member.nest)
        for number, member in enumerate(members)
    ]
    names = tuple(f"{name}_{number}" for number, member in enumerate(members) for name in member.output_names)
    return nest, names, tuple(dtype for member in members for dtype in member.output_dtypes)


def _digest(members: Sequence[SourceModel], ensemble: Ensemble) -> str:
    """Of the files of all models; empty unless all were read from files."""
    if not all(member.sha256 for member in members):
        return ""
    return hashlib.sha256("\n".join([str(ensemble.combine), *(m.sha256 for m in members)]).encode()).hexdigest()


def _notes(members: Sequence[SourceModel], ensemble: Ensemble) -> tuple[str, ...]:
    how = "all their outputs" if ensemble.combine is None else f"outputs combined: {_name(ensemble.combine)}"
    notes = [f"{len(members)} models in one program, {how}"]
    return tuple(notes + list(dict.fromkeys(note for member in members for note in member.notes)))


def _name(combine: Any) -> str:
    return combine if isinstance(combine, str) else getattr(combine, "__name__", "a function")
