"""Several devices on one machine: the sequences of each block are shared out among them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.program import ProgramSpec, build, whole
from fastism_compiler.emit.weights import variables_read, with_weights
from fastism_compiler.engine import Block, Engine, run_tiles
from fastism_compiler.inputs import Array
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.position_map import Table
from fastism_compiler.jobs import Jobs


def check_devices(names: Sequence[str]) -> tuple[str, ...]:
    """Device names such as `"GPU:1"`, checked.

    Raises:
        OptionError: none, one named twice, or one that this process does not have.
    """
    if isinstance(names, str):
        names = [names]
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
        self._functions: dict[tuple[str, ProgramSpec], Any] = {}
        self._guard = threading.Lock()
        specs = [tf.TensorSpec(n.type.shape, n.type.dtype) for n in self.graph.inputs]
        self.variables = variables_read(self._reference, specs, self.lowered)

    def run(self, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
        """Score `jobs` on one block of sequences; every device gets some next to each other."""
        count = len(inputs[0])
        size = -(-count // len(self.devices))
        firsts = range(0, count, size)
        rows = [np.flatnonzero((jobs.sequence >= first) & (jobs.sequence < first + size)) for first in firsts]

        def score(device: str, first: int, own: Array) -> Block:
            chosen = own if len(own) else np.zeros(1, np.int64)  # any job, for the references
            block = [x[first : first + size] for x in inputs]
            sequence = np.clip(jobs.sequence[chosen] - first, 0, len(block[0]) - 1).astype(np.int32)
            some = Jobs(sequence, jobs.change[chosen], jobs.replacement[chosen])
            with tf.device(device):
                return run_tiles(_OnDevice(self, device), block, some, delta=delta)

        with ThreadPoolExecutor(len(firsts)) as pool:
            blocks = list(pool.map(score, self.devices, firsts, rows))
        return _joined(blocks, rows, len(jobs))

    def function_on(self, device: str, spec: ProgramSpec) -> Any:
        """The program for these static sizes, weights behind its own arguments; one per device."""
        with self._guard:
            if (device, spec) not in self._functions:
                program = build(self.graph, self.lowered.bindings, spec, self.finish)
                run = with_weights(program.python_function, self.variables)
                self._functions[device, spec] = tf.function(run, jit_compile=spec.jit, autograph=False)
            return self._functions[device, spec]

    def _reference(self, *inputs: Any) -> list[Any]:
        return whole(self.graph, self.lowered.bindings, self.finish, inputs, tf.shape(inputs[0])[0])[1]


class _OnDevice:
    """The programs of a sharded engine on one device, with the weights as they are now."""

    def __init__(self, engine: ShardedEngine, device: str) -> None:
        self._engine, self._device = engine, device
        self._weights = [tf.identity(v.value) for v in engine.variables]

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
        return lambda *arguments: function(*arguments, *self._weights)


def _joined(blocks: Sequence[Block], rows: Sequence[Array], jobs: int) -> Block:
    """The blocks of all devices as one: results in the order of the jobs, references in that of the sequences."""
    outputs = [np.empty((jobs, *y.shape[1:]), y.dtype) for y in blocks[0].outputs]
    trusted = np.ones(jobs, bool)
    for block, own in zip(blocks, rows, strict=True):
        for result, y in zip(outputs, block.outputs, strict=True):
            result[own] = y[: len(own)]
        trusted[own] = block.trusted[: len(own)]
    references = [np.concatenate(parts) for parts in zip(*(b.references for b in blocks), strict=True)]
    return Block(outputs, trusted, references)
