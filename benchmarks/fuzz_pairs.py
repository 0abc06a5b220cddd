"""Pairs of substitutions in a fuzzed model: each runs alone until their windows meet, wherever that is possible."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


def naive_pair_effects(
    run: Run, x: dict[str, Array], pairs: Array, letters: Sequence[Any], channels: Sequence[int] | None = None
) -> list[Array]:
    """The same by the model itself, which scores every mutant.

    Args:
        run: the model.
        x: the inputs; the sequence is `seq`, `[B, L, C]` or tokens `[B, L]`.
        pairs: `[N, 2]` positions.
        letters: what stands at a position for each letter: a token, or a number per channel.
        channels: those that hold letters (default: all).
    """
    sequences, count = x["seq"], len(letters)
    lead = len(sequences), len(pairs), count, count
    rows = np.broadcast_to(sequences[:, None, None, None], (*lead, *sequences.shape[1:])).copy()
    there = () if channels is None else (list(channels),)
    for n, (i, j) in enumerate(pairs):
        for a, c in np.ndindex(count, count):
            mutants = rows[:, n, a, c]
            mutants[(slice(None), i, *there)], mutants[(slice(None), j, *there)] = letters[a], letters[c]
    inputs = {name: np.repeat(v, len(pairs) * count * count, axis=0) for name, v in x.items()}
    inputs["seq"] = rows.reshape(-1, *sequences.shape[1:])
    return [
        y.reshape(*lead, *y.shape[1:]) - reference[:, None, None, None]
        for y, reference in zip(run(inputs), run(x), strict=True)
    ]
