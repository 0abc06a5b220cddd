"""Several devices on one machine: the sequences of each block are shared out among them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.arguments import several, text
from fastism_compiler.emit.functions import traced
from fastism_compiler.emit.reference import Finish, whole
from fastism_compiler.emit.weights import weights_read, with_weights
from fastism_compiler.frontend.source import SourceModel, Weight
from fastism_compiler.ir import ChangeRanges, Graph
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.ir.position_map import Table
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.results.blocks import OutputWindow
from fastism_compiler.runtime.blocks import Block, LoopShape, run_block
from fastism_compiler.runtime.engine import Engine
from fastism_compiler.runtime.threads import side_by_side


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
        self._by_device: dict[tuple[str, Hashable], Any] = {}
        self._guard = threading.Lock()
        self.weights = weights_of(self.graph, self.source, self.finish)

    def run(self, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
        """Score `jobs` on one block of sequences; every device gets neighbouring sequences."""
        shares = share_out(len(inputs[0]), jobs, len(self.devices))

        def run(k: int) -> Block:
            share = shares[k]
            own = [x[share.first : share.stop] for x in inputs]
            return run_block(_OnDevice(self, self.devices[k]), own, share.jobs(jobs), delta=delta)

        blocks = side_by_side(run, len(shares))
        return joined(blocks, shares, len(jobs))

    def on_device(self, device: str, key: Hashable, part: Callable[..., Any]) -> Any:
        """A part of the program that takes the weights after its own arguments; one per device."""
        with self._guard:
            if (device, key) not in self._by_device:
                run = with_weights(part, self.source, self.weights)
                self._by_device[device, key] = traced(run, self.context.jit)
            return self._by_device[device, key]


def weights_of(graph: Graph, source: SourceModel, finish: Finish) -> list[Weight]:
    """The weights that the programs of a graph read.

    Raises:
        UnsupportedError: a layer with weights outside Keras variables.
    """

    def reference(*inputs: Any) -> list[Any]:
        return whole(graph, source.bindings, finish, inputs, tf.shape(inputs[0])[0])[1]

    specs = [tf.TensorSpec(n.type.shape, n.type.dtype) for n in graph.inputs]
    return weights_read(reference, specs, source)


class Elsewhere:
    """What an engine's program is planned as, for its parts that run where others keep the weights."""

    def __init__(self, engine: Engine) -> None:
        self._planned = engine

    @property
    def ranges(self) -> ChangeRanges:
        return self._planned.ranges

    @property
    def groups(self) -> Table:
        return self._planned.groups

    @property
    def length(self) -> int:
        return self._planned.length

    @property
    def windows(self) -> Sequence[OutputWindow | None]:
        return self._planned.windows

    def loop_shape(self, sequences: int, jobs: Table) -> LoopShape:
        return self._planned.loop_shape(sequences, jobs)


class _OnDevice(Elsewhere):
    """The parts of a sharded engine's program on one device, with the weights as they are now."""

    def __init__(self, engine: ShardedEngine, device: str) -> None:
        super().__init__(engine)
        self._engine, self._device = engine, device
        with tf.device(device):
            self._weights = [tf.identity(w.value) for w in engine.weights]

    @property
    def lanes(self) -> int:
        return 1

    def reference_pass(self, sequences: int) -> Callable[..., Any]:
        return self._here(sequences, self._engine.program.reference_pass)

    def tile_loop(self, shape: LoopShape) -> Callable[..., Any]:
        return self._here(shape, self._engine.program.loop(shape.watch))

    def _here(self, key: Hashable, part: Callable[..., Any]) -> Callable[..., Any]:
        function = self._engine.on_device(self._device, key, part)

        def run(*arguments: Any) -> Any:
            with tf.device(self._device):
                return function(*arguments, *self._weights)

        return run


@dataclass(frozen=True, slots=True)
class Share:
    """Part of a block: what one device runs.

    Attributes:
        first: its first sequence.
        stop: one past its last sequence.
        rows: `[n]` the jobs of the block that it runs.
    """

    first: int
    stop: int
    rows: Table

    def jobs(self, jobs: Jobs) -> Jobs:
        """Its jobs, with its sequences counted from 0; any job where it has none, for the references."""
        own = jobs.take(self.rows if len(self.rows) else np.zeros(1, np.int64))
        sequence = np.clip(own.sequence - self.first, 0, self.stop - self.first - 1).astype(np.int32)
        return Jobs(sequence, own.change, own.replacement)


def share_out(sequences: int, jobs: Jobs, devices: int) -> list[Share]:
    """Share out a block: sequences next to each other, and their jobs."""
    size = -(-sequences // devices)
    owner = jobs.sequence // size
    starts = range(0, sequences, size)
    return [Share(s, min(s + size, sequences), np.flatnonzero(owner == k)) for k, s in enumerate(starts)]


def joined(blocks: Sequence[Block], shares: Sequence[Share], jobs: int) -> Block:
    """The devices' results as one: in the order of the jobs, references in that of the sequences."""
    outputs = [np.empty((jobs, *y.shape[1:]), y.dtype) for y in blocks[0].outputs]
    trusted = np.ones(jobs, bool)
    for block, share in zip(blocks, shares, strict=True):
        for result, y in zip(outputs, block.outputs, strict=True):
            result[share.rows] = y[: len(share.rows)]
        trusted[share.rows] = block.trusted[: len(share.rows)]
    references = [np.concatenate(parts) for parts in zip(*(b.references for b in blocks), strict=True)]
    return Block(outputs, trusted, references)
