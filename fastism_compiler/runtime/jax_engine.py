"""Programs that JAX runs: TensorFlow traces them, and hands them over as StableHLO.

JAX has GPUs where TensorFlow often has none, as beside PyTorch. The tables of a
block stay on its device, from the reference pass to the last loop over tiles.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.precision import strict_float32
from fastism_compiler.emit.stablehlo import stablehlo_text
from fastism_compiler.emit.weights import with_weights
from fastism_compiler.errors import UnsupportedError
from fastism_compiler.frontend.source import Weight
from fastism_compiler.host.jax_device import jax_library
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.runtime.blocks import Block, LoopShape, run_block
from fastism_compiler.runtime.devices import Elsewhere
from fastism_compiler.runtime.engine import Engine

Flat = Callable[..., list[Any]]


@dataclass(frozen=True, slots=True)
class JaxTarget:
    """Where JAX runs the programs of a model.

    Attributes:
        device: of JAX.
        weights: what they read.
    """

    device: Any
    weights: Sequence[Weight]


class JaxEngine(Engine):
    """An engine whose programs are compiled and run by JAX.

    Keras variables are arguments, copied to the device for each block: they
    follow training. Other weights, such as those of ONNX models, are constants of the compiled modules. Mutants
    scored whole by the model itself run where its framework runs them.

    Args:
        engine: the arguments of an `Engine`.
        target: where they run.

    When it runs first, an op that XLA does not know, or a program that JAX cannot compile, is an `UnsupportedError`.
    """

    def __init__(self, *engine: Any, target: JaxTarget) -> None:
        super().__init__(*engine)
        self.device, self.weights = target.device, target.weights
        self._modules: dict[Hashable, _Module] = {}
        self._guard = threading.Lock()

    def run(self, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
        """Score `jobs` on one block of sequences."""
        return run_block(_OnJax(self), inputs, jobs, delta=delta)

    @property
    def notes(self) -> list[str]:
        """That JAX runs it."""
        return [] if self.naive else [f"JAX runs the program, on {self.device}; whole mutants run in the model"]

    def module(self, key: Hashable, part: Flat, specs: Sequence[tf.TensorSpec]) -> _Module:
        """A part of the program, which takes the weights after its own arguments; compiled once."""
        with self._guard:
            if key not in self._modules:
                run = with_weights(part, self.source, self.weights)
                with strict_float32():
                    text = stablehlo_text(run, specs, self.weights, self.source, "compile with runtime='tensorflow'")
                self._modules[key] = _Module(text, self.device)
            return self._modules[key]

    def loop_specs(self, shape: LoopShape) -> list[tf.TensorSpec]:
        """What a loop of these sizes takes, flat: tables, then jobs."""
        tables = [tf.TensorSpec(t.shape, t.dtype) for t in self.reference_pass(shape.sequences).outputs[0]]
        return [*tables, *self._jobs(shape)]

    def flat_pass(self, *inputs: Any) -> list[Any]:
        """The reference pass: tables, then outputs."""
        tables, outputs = self.program.reference_pass(list(inputs))
        return [tf.identity(y) for y in (*tables, *outputs)]

    def flat_loop(self, watch: bool) -> Flat:
        """The loop over tiles: outputs, then which rows are trusted."""
        loop = self.program.loop(watch)

        def run(*arguments: Any) -> list[Any]:
            outputs, trusted = loop(list(arguments[:-_JOBS]), *arguments[-_JOBS:])
            return [tf.identity(y) for y in (*outputs, trusted)]

        return run


_JOBS = 5
"""Arguments of a loop behind the tables."""


class _Module:
    """A StableHLO module, compiled for a device."""

    def __init__(self, text: str, device: Any) -> None:
        self._device = device
        try:
            self._compiled = device.client.compile_and_load(text, [device])
        except RuntimeError as error:
            raise UnsupportedError(
                "JAX cannot compile the program",
                expected="another version of JAX or TensorFlow, or runtime='tensorflow'",
                got=str(error).partition("\n")[0],
            ) from error

    def __call__(self, *tensors: Any) -> list[Any]:
        """Results on the device, perhaps still being computed."""
        results: list[Any] = self._compiled.execute([on_device(t, self._device) for t in tensors])
        return results


def on_device(tensor: Any, device: Any) -> Any:
    """A tensor of any library as an array of JAX on its device, in its own dtype."""
    jax = jax_library()
    if isinstance(tensor, jax.Array):
        return tensor
    with jax.enable_x64(True):  # nothing is narrowed on the way
        return jax.device_put(np.asarray(tensor), device)


class _OnJax(Elsewhere):
    """The parts of an engine's program, with the weights as they are now."""

    def __init__(self, engine: JaxEngine) -> None:
        super().__init__(engine)
        self._engine = engine
        self._weights = [on_device(tf.convert_to_tensor(w.value).numpy(), engine.device) for w in engine.weights]

    @property
    def lanes(self) -> int:
        return self._engine.lanes

    def reference_pass(self, sequences: int) -> Callable[..., Any]:
        engine = self._engine
        count = len(engine.reference_pass(sequences).outputs[0])
        specs = [tf.TensorSpec([sequences, *n.type.shape[1:]], n.type.dtype) for n in engine.graph.inputs]
        module = engine.module(sequences, engine.flat_pass, specs)

        def run(inputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            results = module(*inputs, *self._weights)
            return results[:count], results[count:]

        return run

    def tile_loop(self, shape: LoopShape) -> Callable[..., Any]:
        engine = self._engine
        module = engine.module(shape, engine.flat_loop(shape.watch), engine.loop_specs(shape))

        def run(tables: Sequence[Any], *jobs: Any) -> tuple[list[Any], Any]:
            *outputs, trusted = module(*tables, *jobs, *self._weights)
            return outputs, trusted

        return run
