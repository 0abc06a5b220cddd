"""Pairs of substitutions in a fuzzed model: each runs alone until their windows meet, wherever that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import keras
import numpy as np

from fastism_compiler import halving

Array = np.ndarray[Any, Any]
Run = Callable[[dict[str, Array]], list[Array]]
"""The model: from inputs by name to its outputs, flat."""


def pair_effects(program: Any, x: Any, positions: list[int]) -> tuple[list[Array], Array]:
    """Joint effects `[B, N, C, C, *out]`, run apart wherever that is possible; and the pairs of positions, `[N, 2]`."""
    with patch.object(halving, "_COMPILE_SECONDS", 0.0), patch.object(halving, "_cost", lambda halves: -1.0):
        found = program.pairs(x, positions)
    return [np.asarray(y) for y in keras.tree.flatten(found.joint)], found.positions


def naive_pair_effects(run: Run, x: dict[str, Array], pairs: Array, letters: Any) -> list[Array]:
    """The same by the model itself, which scores every mutant."""
    sequences, count = x["seq"], letters.count
    lead = len(sequences), len(pairs), count, count
    rows = np.broadcast_to(sequences[:, None, None, None], (*lead, *sequences.shape[1:])).copy()
    alone = letters.alone(sequences.dtype)
    for number, pair in enumerate(pairs):
        for a, b in np.ndindex(count, count):
            for row in rows[:, number, a, b]:
                for position, letter in zip(pair, (a, b), strict=True):
                    letters.write(row[position : position + 1], alone[letter : letter + 1])
    mutants = {name: np.repeat(v, len(pairs) * count * count, axis=0) for name, v in x.items()}
    mutants["seq"] = rows.reshape(-1, *sequences.shape[1:])
    return [
        y.reshape(*lead, *y.shape[1:]) - reference[:, None, None, None]
        for y, reference in zip(run(mutants), run(x), strict=True)
    ]
