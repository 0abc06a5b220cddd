"""Functions of an artifact, run by another library than TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from fastism_compiler.errors import UnsupportedError
from fastism_compiler.export.inlined import FixedWeight, Inlined
from fastism_compiler.export.manifest import Manifest
from fastism_compiler.host.runtimes import AUTO
from fastism_compiler.ir import TensorType
from fastism_compiler.runtime.foreign_engine import Flat, Foreign, Runtime
from fastism_compiler.runtime.foreign_rows import ForeignRows
from fastism_compiler.runtime.naive import WholeScorer
from fastism_compiler.runtime.runtimes import runtime_named


def runtime_of(name: str, manifest: Manifest) -> Runtime | None:
    """The runtime of a loaded program; None: TensorFlow.

    Args:
        name: what the caller asks for; `"auto"` is TensorFlow where another cannot run the program.
        manifest: of the program.

    Raises:
        OptionError: no such runtime, or one that is not here.
        UnsupportedError: a float64 program for JAX, or one of lower precision for ONNX Runtime.
    """
    runtime = runtime_named(name)
    refused = None if runtime is None else _refused(runtime, manifest)
    if refused is None:
        return runtime
    if name == AUTO:
        return None
    raise UnsupportedError(f"{refused[0]} does not run on {refused[1]}", expected=refused[2], got=repr(name))


def _refused(runtime: Runtime, manifest: Manifest) -> tuple[str, str, str] | None:
    """What program a runtime cannot run, the runtime and why, and what users can do; None: it can."""
    if not runtime.xla:
        precision = str(manifest.details["precision"])
        if precision != "float32":
            kind = f"a program compiled with precision={precision!r}"
            return kind, "ONNX Runtime", "one of precision='float32'; or runtime='tensorflow' or 'jax'"
        return None
    if any(t.dtype == "float64" for t in (*manifest.inputs, *manifest.outputs)):
        other = "a program of a float32 model; or runtime='tensorflow'"
        return "a float64 program", "JAX, as XLA's float64 code is wrong on CPUs", other
    return None


class Artifact:
    """The functions of an artifact where a runtime runs them; they share the weights, which never change.

    Args:
        runtime: what runs them.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self._kept: dict[int, Any] = {}

    def placed(self, weights: Sequence[FixedWeight]) -> list[Any]:
        """Weights on the device."""
        for weight in weights:
            if id(weight.value) not in self._kept:
                self._kept[id(weight.value)] = self.runtime.place(weight.value.numpy())
        return [self._kept[id(weight.value)] for weight in weights]


class Moved(Foreign):
    """A saved function; it is compiled when it runs first.

    Args:
        artifact: whose function it is.
        trace: the function as TensorFlow has loaded it.

    Attributes:
        inlined: what the library compiles.
    """

    def __init__(self, artifact: Artifact, trace: Any) -> None:
        self.inlined = Inlined(trace, barriers=artifact.runtime.xla)
        self._artifact, self._trace = artifact, trace
        super().__init__(artifact.runtime, None, self.inlined.weights)

    def placed(self) -> list[Any]:
        """The weights on the device, where all functions share them."""
        return self._artifact.placed(self.inlined.weights)

    def __call__(self, *arguments: Any) -> Any:
        """The nest of its results, on the device; for a function of static shapes."""
        specs = [tf.TensorSpec(s.shape, s.dtype) for s in tf.nest.flatten(self._trace.structured_input_signature[0])]
        module = self.module(None, self.inlined, specs)
        results = module(*map(self.runtime.place, tf.nest.flatten(list(arguments))), *self.placed())
        return tf.nest.pack_sequence_as(self._trace.structured_outputs, results)


def whole_rows(artifact: Artifact, reference: Any, manifest: Manifest, model: WholeScorer) -> ForeignRows:
    """Whole mutants by an artifact's own reference function: keyword tensors in, outputs by name out."""
    names = [t.name for t in manifest.inputs]

    def prepare() -> tuple[Foreign, Flat]:
        moved = Moved(artifact, reference)

        def run(*arguments: Any) -> list[Any]:
            own = dict(zip(names, arguments, strict=False))
            flat = moved.inlined(*tf.nest.flatten(own), *arguments[len(own) :])
            results = tf.nest.pack_sequence_as(reference.structured_outputs, flat)
            return [tf.identity(results[t.name]) for t in manifest.outputs]

        return moved, run

    types = [TensorType((None, *t.shape), t.dtype) for t in manifest.inputs]
    return ForeignRows(prepare, types, model)
