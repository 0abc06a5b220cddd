"""Several devices on one machine: the sequences of each block are shared out among them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from fastism_compiler.arguments import several, text
from fastism_compiler.emit.functions import traced
from fastism_compiler.emit.program import ProgramSpec, build
from fastism_compiler.emit.reference import whole
from fastism_compiler.emit.weights import weights_read, with_weights
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.position_map import Table
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.runtime.engine import Engine, run_lanes
from fastism_compiler.runtime.lanes import Block


def check_devices(names: Sequence[str]) -> tuple[str, ...]:
    """Device names such as `"GPU:1"`, checked.

    Raises:
        OptionError: none, one named twice, or one that this process does not have.
    """
    names = several(text)("devices", [names] if isinstance(names, str) else names)
    known = [d.name.removeprefix("/device:") for d in tf.config.list_logical_devices()]
    plain = tuple(str(n).upper().removeprefix("/").removeprefix("DEVICE:") for n in names)
    if not plain or len(set(plain)) < len(plain) or not set(plain) <= set(known):
        raise OptionError(
            "devices= names local devices, each once", expected=f"some of {', '.join(known)}", got=list(names)
        )
    return plain


class ShardedEngine(Engine):
    """An engine whose programs run on several devices at once, one thread each.

    A variable lives on one device, so its programs take the weights as
    arguments, opaque layers' too, copied to every device for each block: they
    follow training. Mutants scored whole by the model itself run where
    TensorFlow places the model.

    Args:
        engine: the arguments of an `Engine`.
        devices: checked names.

    Raises:
        UnsupportedError: a layer with weights outside Keras variables.
    """

    def __init__(self, *engine: Any, devices: Sequence[str]) -> None:
        super().__init__(*engine)
        self.devices = tuple(devices)
        self._by_device: dict[tuple[str, ProgramSpec], Any] = {}
        self._guard = threading.Lock()
        specs = [tf.TensorSpec(n.type.shape, n.type.dtype) for n in self.graph.inputs]
        self.weights = weights_read(self._reference, specs, self.source)

    def run(self, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
        """Score `jobs` on one block of sequences; every device gets some next to each other."""
        return run_lanes([_OnDevice(self, device) for device in self.devices], inputs, jobs, delta=delta)

    def function_on(self, device: str, spec: ProgramSpec) -> Any:
        """The program for these static sizes, weights behind its own arguments; one per device."""
        with self._guard:
            if (device, spec) not in self._by_device:
                program = build(self.graph, self.source.bindings, spec, self.finish, self.context.cpu_only)
                run = with_weights(program.python_function, self.source, self.weights)
                self._by_device[device, spec] = traced(run, spec.jit)
            return self._by_device[device, spec]

    def _reference(self, *inputs: Any) -> list[Any]:
        return whole(self.graph, self.source.bindings, self.finish, inputs, tf.shape(inputs[0])[0])[1]


class _OnDevice:
    """The programs of a sharded engine on one device, with the weights as they are now."""

    def __init__(self, engine: ShardedEngine, device: str) -> None:
        self._engine, self._device = engine, device
        with tf.device(device):
            self._weights = [tf.identity(w.value) for w in engine.weights]

    @property
    def ranges(self) -> ChangeRanges:
        return self._engine.ranges

    @property
    def groups(self) -> Table:
        return self._engine.groups

    @property
    def length(self) -> int:
        return self._engine.length

    def rows(self, sequences: int) -> int:
        return self._engine.rows(sequences)

    def spec(self, sequences: int, tiles: int, delta: bool) -> ProgramSpec:
        return self._engine.spec(sequences, tiles, delta)

    def program(self, spec: ProgramSpec) -> Callable[..., Any]:
        function = self._engine.function_on(self._device, spec)

        def run(*arguments: Any) -> Any:
            with tf.device(self._device):
                return function(*arguments, *self._weights)

        return run
