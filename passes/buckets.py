"""Buckets: change ranges that share one program. Each bucket is specialised on its own."""

from __future__ import annotations

import numpy as np
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.ranges import ChangeRanges


def split_ranges(ranges: ChangeRanges) -> list[Table]:
    """Range numbers by bucket: widths within a factor of two of each other share one.

    A row costs what the widest range of its bucket costs.
    """
    octave = np.ceil(np.log2(ranges.widths)).astype(np.int64)
    return [np.flatnonzero(octave == o) for o in np.unique(octave)]
