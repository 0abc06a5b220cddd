"""Programs that another library runs: TensorFlow traces them, and hands them over.

JAX and ONNX Runtime have GPUs where TensorFlow often has none, as beside PyTorch.
The tables of a block stay on the device, from the reference pass to the last loop
over tiles.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Protocol

import tensorflow as tf

from fastism_compiler.emit.precision import arithmetic_of, strict_float32
from fastism_compiler.emit.program import BlockProgram
from fastism_compiler.frontend.source import SourceModel, Weight
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.runtime.blocks import Block, LoopShape, run_block
from fastism_compiler.runtime.devices import Elsewhere, weights_of
from fastism_compiler.runtime.engine import Engine

Flat = Callable[..., list[Any]]
"""Tensors in, a list of tensors out."""


class Runtime(Protocol):
    """A library that compiles and runs programs, and its device.

    Attributes:
        name: what users know it as.
        where: its device.
        gpu: the device is a GPU.
        xla: it compiles with XLA.
        lanes: calls run side by side at a profit.
    """

    name: str
    where: str
    gpu: bool
    xla: bool
    lanes: bool

    @property
    def memory(self) -> list[int]:
        """Bytes that are left of the device's memory, if it says so and is no CPU."""

    def place(self, tensor: Any) -> Any:
        """A tensor of any library on the device, in its own dtype."""

    def compiled(
        self, run: Flat, specs: Sequence[tf.TensorSpec], weights: Sequence[Weight], source: SourceModel | None
    ) -> Flat:
        """A function of placed tensors, then placed weights; results stay on the device.

        Args:
            run: what it computes.
            specs: what `run` takes, with static shapes.
            weights: what the function takes besides.
            source: the model that has these weights; None: there are none. Other variables that `run` reads never
                change.

        Raises:
            UnsupportedError: an op that the library does not know.
        """


def ran_by(runtime: Runtime) -> str:
    """What users are told of it."""
    return f"{runtime.name} runs the program, on {runtime.where}"


class Foreign:
    """Functions of one model, or of one artifact, that a runtime compiles, each once.

    Args:
        runtime: what runs them.
        source: the model; None: a loaded program, whose weights are constants.
        weights: the variables of the model that they read.
    """

    def __init__(self, runtime: Runtime, source: SourceModel | None = None, weights: Sequence[Weight] = ()) -> None:
        self.runtime, self.source, self.weights = runtime, source, weights
        self._modules: dict[Hashable, Flat] = {}
        self._guard = threading.Lock()

    def placed(self) -> list[Any]:
        """The weights as they are now, on the device."""
        return [self.runtime.place(tf.convert_to_tensor(w.value).numpy()) for w in self.weights]

    def module(self, key: Hashable, run: Flat, specs: Sequence[tf.TensorSpec]) -> Flat:
        """A function, which takes the weights after its own arguments.

        Args:
            key: one for each function.
            run: what it computes.
            specs: what it takes.

        Raises:
            UnsupportedError: an op that the library does not know, or a program that it cannot compile.
        """
        with self._guard:
            if key not in self._modules:
                with strict_float32():
                    self._modules[key] = self.runtime.compiled(run, specs, self.weights, self.source)
            return self._modules[key]


class ForeignEngine(Engine):
    """An engine whose programs are compiled and run by another library.

    Keras variables are arguments, copied to the device for each block: they follow training. Other weights, such as
    those of ONNX models, stay on the device.

    Args:
        engine: the arguments of an `Engine`.
        runtime: what runs them.

    When it runs first, an op that the library does not know, or a program that it cannot compile, is an
    `UnsupportedError`.
    """

    def __init__(self, *engine: Any, runtime: Runtime) -> None:
        super().__init__(*engine)
        self.runtime = runtime
        self._made: Foreign | None = None
        jit, cpu_only = runtime.xla and self.context.jit, runtime.xla and self.context.cpu_only
        arithmetic = arithmetic_of(self.context.precision, jit, cpu_only)
        parts = self.graph, self.source.bindings, self.finish, self.letters.numbers
        self.program = BlockProgram(*parts, arithmetic, cpu_only)

    def run(self, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
        """Score `jobs` on one block of sequences."""
        return run_block(_There(self), inputs, jobs, delta=delta)

    @property
    def notes(self) -> list[str]:
        """What runs it."""
        return [ran_by(self.runtime)]

    @property
    def foreign(self) -> Foreign:
        """Its programs; to find the weights that they read takes a trace.

        Raises:
            UnsupportedError: a layer with weights outside Keras variables.
        """
        with self._lock:
            if self._made is None:
                weights = weights_of(self.graph, self.source, self.finish)
                self._made = Foreign(self.runtime, self.source, weights)
            return self._made

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


class _There(Elsewhere):
    """The parts of an engine's program, with the weights as they are now."""

    def __init__(self, engine: ForeignEngine) -> None:
        super().__init__(engine)
        self._engine, self._place = engine, engine.runtime.place
        self._weights = engine.foreign.placed()

    @property
    def lanes(self) -> int:
        return self._engine.lanes if self._engine.runtime.lanes else 1

    def reference_pass(self, sequences: int) -> Callable[..., Any]:
        engine = self._engine
        count = len(engine.reference_pass(sequences).outputs[0])
        specs = [tf.TensorSpec([sequences, *n.type.shape[1:]], n.type.dtype) for n in engine.graph.inputs]
        module = engine.foreign.module(sequences, engine.flat_pass, specs)

        def run(inputs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
            results = module(*map(self._place, inputs), *self._weights)
            return results[:count], results[count:]

        return run

    def tile_loop(self, shape: LoopShape) -> Callable[..., Any]:
        engine = self._engine
        module = engine.foreign.module(shape, engine.flat_loop(shape.watch), engine.loop_specs(shape))

        def run(tables: Sequence[Any], *jobs: Any) -> tuple[list[Any], Any]:
            *outputs, trusted = module(*tables, *map(self._place, jobs), *self._weights)
            return outputs, trusted

        return run
