"""Parts of a program that are loaded instead of compiled: engines, the reference function, the nest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.errors import UnsupportedError
from fastism_compiler.export.manifest import TensorInfo
from fastism_compiler.export.nest import pack_nest
from fastism_compiler.frontend.nest import pack, unpack
from fastism_compiler.host.hardware import default_lanes
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.tiling import padded_cost
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.results.frames import Frame
from fastism_compiler.runtime.blocks import Block, LoopShape, run_block
from fastism_compiler.runtime.naive import in_batches


@dataclass(frozen=True, slots=True, eq=False)
class WholeEngine:
    """Ranges that were not compiled for: every mutant is scored whole, by the reference function."""

    ranges: ChangeRanges
    windows: Sequence[None]
    naive: bool = True

    def run(self, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
        """Never called, since `naive` is True."""
        raise UnsupportedError("these ranges were not compiled for", got=self.ranges.describe())


@dataclass(frozen=True, slots=True, eq=False)
class LoadedEngine:
    """The parts of the program of one bucket of ranges.

    Attributes:
        ranges: the change ranges they are specialised for.
        groups: one label per range.
        length: positions of the sequence.
        passes: reference passes, by their sequences.
        loops: loops over tiles, by their sizes.
        overhead: what starting a tile costs, in rows.
        windows: one None per output, since whole outputs are returned.
        naive: score every mutant whole.
        lanes: parts of a block's tiles that run side by side.
    """

    ranges: ChangeRanges
    groups: Table
    length: int
    passes: Mapping[int, Callable[..., Any]]
    loops: Mapping[LoopShape, Callable[..., Any]]
    overhead: float
    windows: Sequence[None]
    naive: bool = False
    lanes: int = field(default_factory=default_lanes)

    def loop_shape(self, sequences: int, jobs: Table) -> LoopShape:
        """The smallest block that holds these sequences, and the loop that costs least for these jobs of each group."""
        block = min(n for n in self.passes if n >= sequences)
        loops = [s for s in self.loops if s.sequences == block]
        return min(loops, key=lambda s: padded_cost(jobs, s.rows, self.overhead))

    def reference_pass(self, sequences: int) -> Callable[..., Any]:
        """The reference pass over this many sequences."""
        return self.passes[sequences]

    def tile_loop(self, shape: LoopShape) -> Callable[..., Any]:
        """The loop over tiles of these sizes, which watches for lost digits in any case."""
        return self.loops[replace(shape, watch=True)]

    def run(self, inputs: Sequence[Array], jobs: Jobs, *, delta: bool) -> Block:
        """Score `jobs`; where nothing changes, the reference output exactly, and an effect of exactly 0."""
        return run_block(self, inputs, jobs, delta=delta)


class LoadedRows:
    """Whole sequences scored by an artifact's own reference function, at most `rows` at a time.

    Args:
        reference: keyword tensors in, outputs by name out.
        inputs: the inputs in flat order.
        outputs: the outputs in flat order.
        rows: sequences per call.
    """

    def __init__(
        self, reference: Callable[..., Any], inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], rows: int
    ) -> None:
        self.rows = rows
        self._reference, self._inputs, self._outputs = reference, inputs, outputs

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """Flat outputs `[n, *out]` for flat inputs `[n, ...]`."""
        return in_batches(self._score, inputs, self.rows, pad=False)  # it takes any number of sequences

    def step_by_step(self, inputs: Sequence[Array]) -> list[Array]:
        """The same: a loaded program has no other way."""
        return self(inputs)

    def in_float64(self) -> None:
        """None: a loaded program holds float32 functions, not the model."""

    def _score(self, block: list[Array]) -> list[Any]:
        tensors = {t.name: tf.convert_to_tensor(x) for t, x in zip(self._inputs, block, strict=True)}
        results = self._reference(**tensors)
        return [results[t.name] for t in self._outputs]


class LoadedPacker:
    """The nest of a loaded program's outputs; selection and reduction are done inside its functions.

    Args:
        nest: as in the manifest.
        outputs: the outputs in flat order.

    Attributes:
        nest, samples, names, frames: as in `Packer`.
    """

    def __init__(self, nest: Any, outputs: Sequence[TensorInfo]) -> None:
        self.names = [t.source for t in outputs]
        self.samples = [np.zeros((1, *t.shape), t.dtype) for t in outputs]
        self.frames: list[Frame | None] = [None] * len(outputs)
        self.nest = pack_nest(nest, range(len(outputs)))

    def __call__(self, flat: list[Any]) -> list[Any]:
        """The outputs as they are."""
        return flat

    def pack(self, flat: Sequence[Any]) -> Any:
        """Flat results in the nest that users see."""
        return pack(self.nest, flat)

    def unpack(self, packed: Any) -> list[Any]:
        """Results in the nest that users see, flat again."""
        return unpack(self.nest, packed)
