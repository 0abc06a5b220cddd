"""Functions of an artifact, run by another library than TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from fastism_compiler.errors import UnsupportedError
from fastism_compiler.export.manifest import Manifest
from fastism_compiler.host.runtimes import AUTO
from fastism_compiler.ir import TensorType
from fastism_compiler.runtime.foreign_engine import Foreign, Runtime
from fastism_compiler.runtime.foreign_rows import ForeignRows
from fastism_compiler.runtime.naive import WholeScorer
from fastism_compiler.runtime.runtimes import runtime_named


def runtime_of(name: str, manifest: Manifest | None = None) -> Runtime | None:
    """The runtime of a loaded program; None: TensorFlow.

    Args:
        name: what the caller asks for; `"auto"` is TensorFlow where another cannot run the program.
        manifest: of the program, once it is read.

    Raises:
        OptionError: no such runtime, or one that is not here.
        UnsupportedError: ONNX Runtime, which does not read what TensorFlow has saved; or a float64 program.
    """
    runtime = runtime_named(name)
    if runtime is None:
        return None
    float64 = manifest is not None and any(t.dtype == "float64" for t in (*manifest.inputs, *manifest.outputs))
    if runtime.xla and not float64:
        return runtime
    if name == AUTO:
        return None
    if float64:
        raise UnsupportedError(
            "a float64 program does not run on JAX, as XLA's float64 code is wrong on CPUs",
            expected="a program of a float32 model, or runtime='tensorflow'",
            got=repr(name),
        )
    raise UnsupportedError(
        "ONNX Runtime does not run savedmodel or ism files",
        expected="runtime='tensorflow' or 'jax'; compile(..., runtime='onnxruntime'); or export(..., format='onnx')",
        got=repr(name),
    )


class Moved:
    """A saved function of static shapes; it is compiled when it runs first.

    Args:
        foreign: what compiles it.
        name: its name in the artifact.
        function: as TensorFlow has loaded it.
    """

    def __init__(self, foreign: Foreign, name: str, function: Any) -> None:
        self._foreign, self._name, self._function = foreign, name, function
        self._trace = function.concrete_functions[0]
        self._arguments = self._trace.structured_input_signature[0]

    def __call__(self, *arguments: Any) -> Any:
        """The nest of its results, on the device."""
        specs = [tf.TensorSpec(s.shape, s.dtype) for s in tf.nest.flatten(self._arguments)]
        module = self._foreign.module(self._name, self._flat, specs)
        results = module(*map(self._foreign.runtime.place, tf.nest.flatten(list(arguments))))
        return tf.nest.pack_sequence_as(self._trace.structured_outputs, results)

    def _flat(self, *tensors: Any) -> list[Any]:
        results = self._function(*tf.nest.pack_sequence_as(self._arguments, list(tensors)))
        return [tf.identity(y) for y in tf.nest.flatten(results)]


def whole_rows(runtime: Runtime, reference: Callable[..., Any], manifest: Manifest, model: WholeScorer) -> ForeignRows:
    """Whole mutants by an artifact's own reference function: keyword tensors in, outputs by name out."""

    def run(*tensors: Any) -> list[Any]:
        results = reference(**{t.name: x for t, x in zip(manifest.inputs, tensors, strict=True)})
        return [tf.identity(results[t.name]) for t in manifest.outputs]

    types = [TensorType((None, *t.shape), t.dtype) for t in manifest.inputs]
    return ForeignRows(lambda: (Foreign(runtime), run), types, model)
