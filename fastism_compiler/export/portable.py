"""A program as plain TensorFlow operations, on any number of sequences: what every artifact is made of.

The tile section is the one `emit.program` runs. What differs is the host
code around it: job lists become index arithmetic inside the graph, results of
buckets are merged there, and a row that only the model itself could score is
not scored again: its floating-point outputs are NaN, the mark of a failed cell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.precision import arithmetic_of
from fastism_compiler.emit.program import Reference
from fastism_compiler.emit.reference import whole
from fastism_compiler.emit.rows import Rows, stored
from fastism_compiler.export.schedule import Schedule
from fastism_compiler.ir.position_map import Table
from fastism_compiler.mutations.letters import Letters, Tokens
from fastism_compiler.runtime.blocks import carrier_rows
from fastism_compiler.runtime.engine import Engine

Tile = Callable[[Rows, Tensor], list[Tensor]]
"""`(rows, replacement of each row [T, w, columns]) -> outputs [T, *out]`"""


class Portable:
    """The scan, the saturation and the reference pass of one program.

    Args:
        engines: one per bucket of ranges.
        buckets: the range numbers of each.
        letters: channels or tokens of replacements.
        sequence: position of the mutated input among the flat inputs.
        naive_rows: whole mutants per step, where the model itself is faster.
        jit: the operations will be compiled by XLA.
        shortcut: where a replacement equals the sequence, take the reference
            output. Exact in value, not in gradient.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        buckets: Sequence[Table],
        letters: Letters,
        sequence: int,
        *,
        naive_rows: int,
        jit: bool,
        shortcut: bool = True,
    ) -> None:
        self.engines, self.letters, self.sequence = list(engines), letters, sequence
        self.jit, self.shortcut = jit, shortcut
        self._scores: Callable[[Sequence[Tensor], Tensor], list[Tensor]] = self._of_all_buckets
        self._place = np.argsort(np.concatenate(list(buckets)))
        self._schedules = [
            Schedule.of(
                e.groups * 0 if e.naive else e.groups, naive_rows if e.naive else e.tiling.most_rows, e.tiling.overhead
            )
            for e in engines
        ]

    def trace_once(self, inputs: Sequence[tf.TensorSpec], replacements: tf.TensorSpec) -> None:
        """From here on `scan` and `saturate` call one function, which is traced for these arguments of `_scores`."""
        signature = [list(inputs), replacements]
        self._scores = tf.function(self._of_all_buckets, input_signature=signature, autograph=False)

    def scan(self, inputs: Sequence[Tensor], replacement: Tensor) -> list[Tensor]:
        """One replacement `[w, C]` (tokens: `[w]`) in every range: `[B, R, *out]` per output."""
        replacement = replacement[:, None] if isinstance(self.letters, Tokens) else replacement
        return [y[:, :, 0] for y in self._scores(inputs, replacement[None])]

    def saturate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Every letter in every range (of width 1): `[B, R, C, *out]` per output."""
        alone = self.letters.alone(inputs[self.sequence].dtype.as_numpy_dtype)
        return self._scores(inputs, tf.constant(alone[:, None]))

    def reference(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs for the sequences themselves: `[B, *out]` each."""
        engine = self.engines[0]
        return whole(engine.graph, engine.source.bindings, engine.finish, inputs, tf.shape(inputs[0])[0])[1]

    def _of_all_buckets(self, inputs: Sequence[Tensor], replacements: Tensor) -> list[Tensor]:
        """`[B, R, K, *out]` per output, for `replacements [K, w, columns]`."""
        parts = [self._bucket(e, s, inputs, replacements) for e, s in zip(self.engines, self._schedules, strict=True)]
        if len(parts) == 1:
            return parts[0]
        return [tf.gather(tf.concat(ys, axis=1), self._place, axis=1) for ys in zip(*parts, strict=True)]

    def _bucket(
        self, engine: Engine, schedule: Schedule, inputs: Sequence[Tensor], replacements: Tensor
    ) -> list[Tensor]:
        sequences, letters = tf.shape(inputs[self.sequence])[0], _count(replacements)
        cut = schedule.begin(sequences * letters)
        arithmetic = arithmetic_of(engine.context.precision, self.jit)
        reference = Reference.of(engine.graph, engine.source.bindings, engine.finish, inputs, sequences, arithmetic)
        barriers = engine.context.machine.cpu_only(self.jit)
        tile = self._whole_tile(engine, inputs, reference) if engine.naive else self._window_tile(engine, reference)
        spread = Spread(engine, replacements, sequences, cut.per_tile)

        def body(i: Tensor, stores: list[Any]) -> tuple[Tensor, list[Any]]:
            change = cut.ranges(i)
            rows = Rows(spread.sequence(), spread.change(change), stored(i >= 0, barriers))
            outputs = tile(rows, spread.replacement(change))
            return i + 1, [s.write(i, y) for s, y in zip(stores, outputs, strict=True)]

        stores = [
            tf.TensorArray(y.dtype, size=cut.tiles, element_shape=[None, *y.shape[1:]], clear_after_read=False)
            for y in reference.outputs
        ]
        _, stores = tf.while_loop(
            lambda i, _: i < cut.tiles,
            body,
            (tf.constant(0, tf.int32), stores),
            maximum_iterations=cut.tiles if self.jit else None,
            parallel_iterations=1,
        )
        return [self._in_order(s.stack(), y, cut.slots(), letters, sequences) for s, y in zip(
            stores, reference.outputs, strict=True
        )]  # fmt: skip

    @staticmethod
    def _in_order(y: Tensor, reference: Tensor, slots: Tensor, letters: Tensor, sequences: Tensor) -> Tensor:
        """Tiles `[N, T, *out]` as `[B, R, K, *out]`."""
        y = tf.gather(tf.reshape(y, [-1, letters, sequences, *reference.shape[1:]]), slots)
        return tf.transpose(y, [2, 0, 1, *range(3, len(y.shape))])

    def _window_tile(self, engine: Engine, reference: Reference) -> Tile:
        """Rows by the tile section; those whose results cannot be trusted are NaN."""

        def tile(rows: Rows, replacement: Tensor) -> list[Tensor]:
            scores = reference.score(rows, replacement, engine.letters.numbers)
            outputs = scores.outputs_or_reference() if self.shortcut else scores.outputs
            return [_or_nan(scores.trusted, y) for y in outputs]

        return tile

    def _whole_tile(self, engine: Engine, inputs: Sequence[Tensor], reference: Reference) -> Tile:
        """Rows by the model itself, on whole mutants."""

        def tile(rows: Rows, replacement: Tensor) -> list[Tensor]:
            mutants = [rows.whole(x) for x in inputs]
            before = mutants[self.sequence]
            mutants[self.sequence] = mutated(before, rows, replacement, engine)
            count = tf.shape(rows.sequence)[0]
            outputs = whole(engine.graph, engine.source.bindings, engine.finish, mutants, count)[1]
            if not self.shortcut:
                return outputs
            same = tf.reduce_all(mutants[self.sequence] == before, axis=list(range(1, len(before.shape))))
            return [_select(same, rows.whole(r), y) for r, y in zip(reference.outputs, outputs, strict=True)]

        return tile


class Spread:
    """The rows of a tile: every range in it, for every replacement, for every sequence.

    Args:
        engine: for its ranges.
        replacements: `[K, w, columns]`.
        sequences: B, a scalar.
        per_tile: ranges in a tile, a scalar.
    """

    def __init__(self, engine: Engine, replacements: Tensor, sequences: Tensor, per_tile: Tensor) -> None:
        self._width, self._columns = engine.ranges.max_width, replacements.shape[2]
        self._letters, self._sequences, self._per_tile = _count(replacements), sequences, per_tile
        self._replacements = replacements[:, : self._width]
        rows = carrier_rows(engine.ranges, engine.length)
        self._rows: Table | None = None if (rows == np.arange(self._width)).all() else rows

    def sequence(self) -> Tensor:
        """`[T]` sequence of each row."""
        return tf.tile(tf.range(self._sequences), tf.stack([self._per_tile * self._letters]))

    def change(self, ranges: Tensor) -> Tensor:
        """`[T]` change range of each row, from those of the tile."""
        copies = self._sequences * self._letters
        return tf.reshape(tf.tile(ranges[:, None], tf.stack([1, copies])), [-1])

    def replacement(self, ranges: Tensor) -> Tensor:
        """`[T, w, columns]` replacement of each row."""
        table = self._replacements[None]
        if self._rows is None:
            table = tf.tile(table, tf.stack([self._per_tile, 1, 1, 1]))
        else:
            stored_rows = tf.gather(tf.constant(self._rows, tf.int32), ranges)
            table = tf.transpose(tf.gather(self._replacements, stored_rows, axis=1), [1, 0, 2, 3])
        table = tf.tile(table[:, :, None], tf.stack([1, 1, self._sequences, 1, 1]))
        return tf.reshape(table, [-1, self._width, self._columns])


def mutated(x: Tensor, rows: Rows, replacement: Tensor, engine: Engine) -> Tensor:
    """Whole sequences `[T, L, ...]` with their replacements `[T, w, columns]` in place."""
    width, length = engine.ranges.max_width, engine.length
    lo, hi = (tf.gather(tf.constant(t, tf.int32), rows.change)[:, None] for t in (engine.ranges.lo, engine.ranges.hi))
    positions = tf.range(length, dtype=tf.int32)[None]
    at = tf.clip_by_value(positions - tf.minimum(lo, length - width), 0, width - 1)
    row = tf.range(tf.shape(x)[0], dtype=tf.int32)[:, None] * width
    there = tf.gather(tf.reshape(replacement, [-1, replacement.shape[2]]), row + at)
    inside = (positions >= lo) & (positions < hi)
    if len(x.shape) == 2:
        return tf.where(inside, there[..., 0], x)
    numbers, channels = list(engine.letters.numbers), x.shape[2]
    if numbers != list(range(channels)):
        source = [numbers.index(c) if c in numbers else len(numbers) + c for c in range(channels)]
        there = tf.gather(tf.concat([there, x], axis=2), source, axis=2)
    return tf.where(inside[..., None], there, x)


def _count(replacements: Tensor) -> Tensor | int:
    """How many: a number where it is known while tracing, for a converter that follows no shapes."""
    return tf.shape(replacements)[0] if replacements.shape[0] is None else replacements.shape[0]


def _or_nan(stands: Tensor, y: Tensor) -> Tensor:
    return _select(stands, y, tf.fill(tf.shape(y), tf.constant(math.nan, y.dtype))) if y.dtype.is_floating else y


def _select(condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    return tf.where(tf.reshape(condition, [-1, *[1] * (len(a.shape) - 1)]), a, b)
