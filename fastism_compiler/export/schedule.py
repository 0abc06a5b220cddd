"""How a portable program cuts the rows of a scan into tiles, for any number of sequences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.ir.position_map import Table


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Ranges in tiles, each of one group; every range of a tile is scored for all its mutants at once.

    Attributes:
        order: range numbers, group by group.
        first: where each group begins in `order`.
        size: ranges in each group.
        per_tile: ranges in one tile, by the number of mutants per range; its
            last entry is 1, and serves every larger number too.
    """

    order: Table
    first: Table
    size: Table
    per_tile: Table

    @staticmethod
    def of(groups: Table, most_rows: int, overhead: float) -> Schedule:
        """The schedule for ranges with these group labels, for about `most_rows` rows per tile.

        Args:
            groups: one label per range; a tile holds ranges of one label.
            most_rows: rows that the memory for a tile allows.
            overhead: what starting a tile costs, in rows.
        """
        order = np.argsort(groups, kind="stable")
        _, first, size = np.unique(groups[order], return_index=True, return_counts=True)
        per_tile = [1, *[_cheapest(size, n, max(most_rows // n, 1), overhead) for n in range(1, most_rows + 1)], 1]
        return Schedule(order, first, size, np.array(per_tile))

    def begin(self, mutants: Tensor) -> Cut:
        """The tiles for this many mutants per range (a scalar int32, known when the program runs)."""
        per_tile = tf.gather(_constant(self.per_tile), tf.minimum(mutants, len(self.per_tile) - 1))
        tiles = (_constant(self.size) + per_tile - 1) // per_tile
        return Cut(self, per_tile, tf.cumsum(tiles) - tiles, tf.reduce_sum(tiles))


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """A schedule for a known number of mutants per range.

    Attributes:
        per_tile: ranges in one tile, a scalar.
        begin: number of the first tile of each group.
        tiles: how many tiles there are, a scalar.
    """

    schedule: Schedule
    per_tile: Tensor
    begin: Tensor
    tiles: Tensor

    def ranges(self, tile: Tensor) -> Tensor:
        """The ranges in a tile: `[per_tile]`; a short tile repeats the last range of its group."""
        group = tf.reduce_sum(tf.cast(tile >= self.begin, tf.int32)) - 1
        place = (tile - self.begin[group]) * self.per_tile + tf.range(self.per_tile)
        place = tf.minimum(place, _constant(self.schedule.size)[group] - 1)
        return tf.gather(_constant(self.schedule.order), _constant(self.schedule.first)[group] + place)

    def slots(self) -> Tensor:
        """Where each range's result is found among those of all tiles in a row: `[R]`."""
        count = len(self.schedule.order)
        place = np.empty(count, np.int64)
        group = np.empty(count, np.int64)
        for number, (first, size) in enumerate(zip(self.schedule.first, self.schedule.size, strict=True)):
            members = self.schedule.order[first : first + size]
            group[members], place[members] = number, np.arange(size)
        return tf.gather(self.begin, _constant(group)) * self.per_tile + _constant(place)


def _cheapest(size: Table, mutants: int, most: int, overhead: float) -> int:
    """Ranges per tile at which the groups cost least: long tiles are padded more, short ones start more often."""
    candidates = np.arange(1, min(most, int(size.max())) + 1)
    tiles = (-(-size[:, None] // candidates)).sum(axis=0)
    return int(candidates[np.argmin(tiles * (candidates * mutants + overhead))])


def _constant(table: Table) -> Tensor:
    return tf.constant(table, tf.int32)
