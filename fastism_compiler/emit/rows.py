"""Rows of windows: where they start, reading the reference, shifting, masking.

A tile holds rows; each row is one mutation of one sequence. Its windows
start where the carrier says for its change range. Positions are clipped
explicitly; masks use `where`, not products (NaN * 0 is NaN).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.positions import between, pad_positions
from fastism_compiler.ir import Carrier, Kept


class Rows:
    """The rows of one tile.

    Args:
        sequence: `[T]` int32, which sequence of the block each row mutates.
        change: `[T]` int32, which change range.
        store: makes the compiler keep a value in memory (see `stored`).
    """

    def __init__(self, sequence: Tensor, change: Tensor, store: Callable[[Tensor], Tensor]) -> None:
        self.sequence, self.change, self.store = sequence, change, store
        self._known: dict[tuple[object, ...], Any] = {}

    def start(self, carrier: Carrier) -> Tensor:
        """First stored position of each row: `[T]`, or a scalar if the same for all ranges."""
        if (carrier.start == carrier.start[0]).all():
            return tf.constant(int(carrier.start[0]), tf.int32)
        starts = carrier.start
        return self._once(lambda: tf.gather(tf.constant(starts, tf.int32), self.change), "start", starts.tobytes())

    def column(self, carrier: Carrier) -> Tensor:
        """The same as `[T, 1]` or `[1, 1]`."""
        return self._once(lambda: tf.reshape(self.start(carrier), [-1, 1]), "column", carrier.start.tobytes())

    def counted(self, width: int) -> Tensor:
        """`0 .. width - 1` as `[1, width]`."""
        return self._once(lambda: tf.reshape(tf.range(width, dtype=tf.int32), [1, width]), "counted", width)

    def positions(self, carrier: Carrier) -> Tensor:
        """Stored positions, unclipped: `[T, width]` or `[1, width]`."""
        return self._once(lambda: self.column(carrier) + self.counted(carrier.width), "positions", *_key(carrier))

    def inside(self, carrier: Carrier, length: int) -> Tensor:
        """Which stored positions exist: `[T or 1, width]` bool."""
        clipped = self._clipped(carrier, length)
        return self._once(lambda: self.positions(carrier) == clipped, "inside", *_key(carrier), length)

    def _once(self, make: Callable[[], Any], *key: object) -> Any:
        """What is made of these carriers and lengths, once per tile: many nodes ask for the same."""
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    def whole(self, table: Tensor) -> Tensor:
        """For each row, the entry of its sequence in a table `[B, ...]`: `[T, ...]`."""
        return tf.gather(table, self.sequence)

    def window(self, table: Tensor, carrier: Carrier, length: int, kept: Kept | None = None) -> Tensor:
        """Positions `carrier` of a reference table `[B, length, ...]`, or of what is kept of it: `[T, width, ...]`.

        Positions outside the sequence read the nearest one inside.
        """
        if carrier.spans(length):
            return self.whole(table)
        first, extent = (0, length) if kept is None else (kept.first, kept.extent)
        flat = tf.reshape(table, [-1, *table.shape[2:]])
        clipped, key = self._clipped(carrier, length), (*_key(carrier), length, first, extent)
        entries = self._once(lambda: self._first_entries(extent, first) + clipped, "entries", *key)
        return tf.gather(flat, entries)

    def _first_entries(self, extent: int, first: int) -> Tensor:
        """Where position 0 of each row's sequence is in a flat table that keeps `extent` positions from `first` on."""
        return self._once(lambda: tf.expand_dims(self.sequence * extent - first, 1), "first entries", extent, first)

    def window_of_parameter(self, table: Tensor, carrier: Carrier, length: int) -> Tensor:
        """The same of a table `[length, ...]` that all sequences share; `[1, width, ...]` if all rows start alike."""
        return table[None] if carrier.spans(length) else tf.gather(table, self._clipped(carrier, length))

    def _clipped(self, carrier: Carrier, length: int) -> Tensor:
        positions = self.positions(carrier)
        return self._once(lambda: tf.clip_by_value(positions, 0, length - 1), "clipped", *_key(carrier), length)

    def realign(self, x: Tensor, source: Carrier, target: Carrier) -> Tensor:
        """Rows `[T, source.width, ...]` as stored on `target`; 0 where `source` holds nothing."""
        shift = target.offset_from(source)
        if shift is not None:
            first, last = max(shift, 0), min(source.width, shift + target.width)
            if last <= first:
                return tf.zeros([tf.shape(x)[0], target.width, *x.shape[2:]], x.dtype)
            return pad_positions(between(x, first, last), first - shift, target.width - last + shift)
        key = "shifted", x.shape[0], *_key(source), *_key(target)
        entries, stored = self._once(lambda: self._shifted(tf.shape(x)[0], source, target), *key)
        flat = tf.reshape(self.store(x), [-1, *x.shape[2:]])
        return where(stored, tf.gather(flat, entries), 0.0)

    def _shifted(self, rows: Tensor, source: Carrier, target: Carrier) -> tuple[Tensor, Tensor]:
        """Where the positions of `target` are among those of `source`, laid flat, and which `source` holds."""
        index = self.column(target) - self.column(source) + self.counted(target.width)
        clipped = tf.clip_by_value(index, 0, source.width - 1)
        first = tf.expand_dims(tf.range(rows, dtype=tf.int32) * source.width, 1)
        return first + clipped, index == clipped

    def mask(self, x: Tensor, carrier: Carrier, length: int, fill: float = 0.0) -> Tensor:
        """`x` with `fill` at stored positions outside the sequence."""
        if not carrier.overhangs(length):
            return x
        return where(self.inside(carrier, length), x, fill)

    def overlay(self, x: Tensor, carrier: Carrier, length: int, base: Tensor | None) -> Tensor:
        """Whole rows `[T, length, ...]`: the window over `base`, or over zeros."""
        if carrier.spans(length):
            return x
        everything = Carrier(carrier.start * 0, length)
        spread = self.realign(x, carrier, everything)
        if base is None:
            return spread
        positions, start = self.counted(length), self.column(carrier)
        return where((positions >= start) & (positions < start + carrier.width), spread, base)


def _key(carrier: Carrier) -> tuple[bytes, int]:
    return carrier.start.tobytes(), carrier.width


BARRIER = "fastism_barrier"
"""What the conditional of a fusion barrier is called in a graph: only XLA needs it."""


def stored(always: Tensor, cpu_only: bool) -> Callable[[Tensor], Tensor]:
    """A fusion barrier: XLA on CPU must compute its argument once, into memory.

    XLA fuses an overlap-add into the gather that shifts it, and then recomputes
    it, branch by branch, for every element it gathers (Basset's second block:
    36 us a row, 5 us with the barrier); it also computes a value twice that two
    ops read (BPNet's residual tower: a tenth of its time). XLA removes its own
    `optimization_barrier` before CPU fusion, but does not fuse across a
    conditional. On a GPU a conditional would wait for the host.

    Args:
        always: a scalar bool that is true at run time, unknown to the compiler.
        cpu_only: XLA compiles the program for a CPU; no barrier otherwise.
    """
    if not cpu_only:
        return tf.identity
    return lambda x: tf.cond(always, lambda: x, lambda: tf.zeros_like(x), name=BARRIER)


def where(condition: Tensor, x: Tensor, otherwise: Tensor | float) -> Tensor:
    """`tf.where` with a `[rows, positions]` condition over `[rows, positions, ...]`."""
    condition = tf.reshape(condition, [*_dims(condition), *[1] * (len(x.shape) - 2)])
    if isinstance(otherwise, float):
        otherwise = tf.cast(otherwise, x.dtype)
    return tf.where(condition, x, otherwise)


def _dims(x: Tensor) -> list[Tensor]:
    return [x.shape[i] if x.shape[i] is not None else tf.shape(x)[i] for i in range(2)]
