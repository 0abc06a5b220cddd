"""What planning leaves on a graph: how rows form tiles, and what the program is expected to gain."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from fastism_compiler.ir.position_map import Table, ceil_div


@dataclass(frozen=True, slots=True, eq=False)
class Tiling:
    """How rows are cut into tiles (pass `plan-tiles`).

    Attributes:
        groups: one label per range; a tile holds rows of one label only.
        row_bytes: memory one row needs at the widest step.
        most_rows: rows that cost least within the memory for a tile, the shared cache considered.
        near_rows: the same within `most_rows`, each core's own cache considered too; the most that a tile has.
        overhead: what starting a tile and reading its weights costs, in rows.
    """

    groups: Table
    row_bytes: int
    most_rows: int
    near_rows: int
    overhead: float

    def rows(self, sequences: int) -> int:
        """Rows per tile, `near_rows` at most, that cost least for a block of `sequences` sequences."""
        return cheapest_rows(self._rows_of_groups(sequences), self.near_rows, self.overhead)[0]

    def tiles(self, sequences: int) -> int:
        """Number of tiles for every range of `sequences` sequences."""
        return int(ceil_div(self._rows_of_groups(sequences), self.rows(sequences)).sum())

    def rows_for(self, jobs: Table, most: int, spare: float, share: float) -> int:
        """Rows per tile for a list of jobs: `most`, or a half, a quarter ... of it, or 3/4 of any of these.

        A few sizes serve every list, so few programs are compiled, at the cost of some padding.

        Args:
            jobs: number of jobs of each group that has any.
            most: rows per tile of a scan of the whole block.
            spare: rows that a call may waste.
            share: fraction of a call that it may waste, where that is more.
        """
        halves = [most >> n for n in range(most.bit_length())]
        sizes = sorted({n for half in halves for n in (half, ceil_div(3 * half, 4))}, reverse=True)
        costs = [padded_cost(jobs, n, self.overhead) for n in sizes]
        allowed = min(costs) + max(spare, share * min(costs))
        return next(n for n, cost in zip(sizes, costs, strict=True) if cost <= allowed)

    def _rows_of_groups(self, sequences: int) -> Table:
        counts: Table = np.unique(self.groups, return_counts=True)[1] * sequences
        return counts


@dataclass(frozen=True, slots=True)
class Dropped:
    """What the model itself computes for positions that no output reads (pass `crop-early`).

    Attributes:
        multiply_adds: of contractions, for one sequence.
        elements: of results that are not element-wise.
    """

    multiply_adds: int = 0
    elements: int = 0

    def __add__(self, other: Dropped) -> Dropped:
        return Dropped(self.multiply_adds + other.multiply_adds, self.elements + other.elements)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the cost model expects (pass `choose-program`).

    Attributes:
        speed_up: predicted time of the model itself over that of the program, per mutation.
        naive: the speed-up is too small, so the model itself scores every mutant.
    """

    speed_up: float
    naive: bool


def padded_cost(jobs: Table, rows: int, overhead: float) -> float:
    """Cost, in rows, of `jobs` per group in tiles of `rows` rows: padding and tile starts included."""
    return float((ceil_div(jobs, rows) * (rows + overhead)).sum())


def cheapest_rows(sizes: Table, most: int, overhead: float) -> tuple[int, float]:
    """Rows per tile at which groups of these sizes cost least, and that cost per row.

    Short tiles repeat what starting a tile costs; long ones are padded more.
    """
    candidates = [n for n in range(1, most + 1) if n % 8 == 0 or n == most or n < 8]
    costs = [padded_cost(sizes, n, overhead) / sizes.sum() for n in candidates]
    best = int(np.argmin(costs))
    return candidates[best], float(costs[best])
