"""The serving function of a SavedModel, its weights as constants: one graph, in float32 or widened to float64."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.python.eager import context
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from fastism_compiler.errors import ArtifactError, ModelError, first_line
from fastism_compiler.export.check_graph import check_savedmodel
from fastism_compiler.host.files import sha256

_WIDER = {types_pb2.DT_FLOAT: types_pb2.DT_DOUBLE}
_SIGNATURE = "serving_default"
_PRIMARY = "serve"


@dataclass(frozen=True, slots=True)
class FrozenFunction:
    """A function of tensors, without variables.

    Attributes:
        graph: its operations, functions inlined.
        inputs: names of the tensors that it takes.
        outputs: names of the tensors that it gives.
        takes: shapes and dtypes of the inputs, by the names that callers know.
        gives: shapes and dtypes of the outputs, by name.
        name: of the folder.
        sha256: of its files.
    """

    graph: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    takes: dict[str, Any]
    gives: dict[str, Any]
    name: str
    sha256: str

    def __post_init__(self) -> None:
        """Make the bodies of loops known to TensorFlow, which finds them by name when the graph runs."""
        known = context.context()
        for function in self.graph.library.function:
            if not known.has_function(function.signature.name):
                known.add_function_def(function)

    def __call__(self, *tensors: Any) -> list[Any]:
        """The outputs, in the order of `gives`."""
        given = dict(zip(self.inputs, tensors, strict=True))
        results: list[Any] = tf.graph_util.import_graph_def(self.graph, given, list(self.outputs), name="model")
        return results

    def widened(self) -> FrozenFunction:
        """The same in float64."""
        graph = tf.compat.v1.GraphDef()
        graph.CopyFrom(self.graph)
        functions = graph.library.function
        names = {function.signature.name: f"{function.signature.name}_in_float64" for function in functions}
        for node in (*graph.node, *(node for function in functions for node in function.node_def)):
            for attribute in node.attr.values():
                _widen(attribute)
                if attribute.WhichOneof("value") == "func":
                    attribute.func.name = names.get(attribute.func.name, attribute.func.name)
        for signature in (function.signature for function in functions):
            signature.name = names[signature.name]  # TensorFlow keeps the first function of a name
            for argument in (*signature.input_arg, *signature.output_arg):
                argument.type = _WIDER.get(argument.type, argument.type)
        return replace(self, graph=graph)


def _widen(attribute: Any) -> None:
    if attribute.type in _WIDER:  # to set one kind of value clears the others
        attribute.type = _WIDER[attribute.type]
    for position, kind in enumerate(attribute.list.type):
        attribute.list.type[position] = _WIDER.get(kind, kind)
    if attribute.tensor.dtype == types_pb2.DT_FLOAT:
        wide = tf.make_ndarray(attribute.tensor).astype("float64")
        attribute.tensor.CopyFrom(tf.make_tensor_proto(wide))


def read_frozen(folder: Path, safe_mode: bool) -> FrozenFunction:
    """The serving function of a SavedModel.

    Args:
        folder: the SavedModel.
        safe_mode: refuse graphs that do more than compute, before TensorFlow loads them.

    Raises:
        ModelError: a folder that is no SavedModel, a damaged one, one without a serving function, or one that
            `safe_mode` refuses.
    """
    with _private_copy(folder) as copy:
        return _frozen(copy, folder, safe_mode)


@contextmanager
def _private_copy(folder: Path) -> Iterator[Path]:
    """The folder as it is now, where nobody else can write: what is checked is what is loaded."""
    with TemporaryDirectory(prefix="fastism-", ignore_cleanup_errors=True) as place:
        copy = Path(place) / folder.name
        try:
            shutil.copytree(folder, copy)
        except (OSError, shutil.Error) as error:
            raise ModelError(
                "the SavedModel cannot be read into a temporary folder",
                expected=f"permission to read it, and room in {place} (TMPDIR says where)",
                got=f"{folder}: {error}",
            ) from error
        yield copy


def _frozen(copy: Path, folder: Path, safe_mode: bool) -> FrozenFunction:
    try:
        if safe_mode:
            check_savedmodel(copy, str(folder))
        loaded = tf.saved_model.load(str(copy), tags=_PRIMARY)
    except ArtifactError as error:
        raise ModelError(error.rule, expected=error.expected, got=error.got) from error
    except Exception as error:  # whatever TensorFlow raises of a damaged file
        raise ModelError("the SavedModel cannot be loaded", got=f"{folder}: {first_line(error)}") from error
    names = sorted(loaded.signatures)
    if not names:
        raise ModelError("a SavedModel needs a serving function", expected=_SIGNATURE, got=f"{folder}: none")
    function = loaded.signatures[_SIGNATURE if _SIGNATURE in names else names[0]]
    frozen = convert_variables_to_constants_v2(function, lower_control_flow=False, aggressive_inlining=True)
    takes = dict(function.structured_input_signature[1])
    return FrozenFunction(
        _without_placeholders(frozen.graph.as_graph_def()),
        tuple(f"{name}:0" for name in _placeholders(frozen, function, takes)),
        tuple(_results(frozen, function)),
        takes,
        dict(sorted(function.structured_outputs.items())),
        folder.name,
        _digest(copy),
    )


def _digest(folder: Path) -> str:
    """SHA-256 of the path and content of every file."""
    total = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        total.update(f"{path.relative_to(folder)}\0{sha256(path)}\0".encode())
    return total.hexdigest()


def _without_placeholders(graph: Any) -> Any:
    """The graph without its Placeholders, for which XLA has no kernel."""
    kept = [node for node in graph.node if node.op != "Placeholder"]
    del graph.node[:]
    graph.node.extend(kept)
    return graph


def _placeholders(frozen: Any, function: Any, takes: dict[str, Any]) -> Sequence[str]:
    """Operations that stand for the inputs, in their order."""
    known = [str(tensor.name).partition(":")[0] for tensor in frozen.inputs]
    order = {str(spec.name or name): number for number, (name, spec) in enumerate(takes.items())}
    return sorted(known, key=lambda name: order.get(name, len(order)))


def _results(frozen: Any, function: Any) -> list[str]:
    """Tensors that are the outputs, in the order of their names."""
    flat = tf.nest.flatten(function.structured_outputs, expand_composites=True)
    return [tensor.name for tensor, _ in zip(frozen.outputs, flat, strict=True)]
