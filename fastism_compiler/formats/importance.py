"""Importance: one number per position, on the letter that is there."""

from __future__ import annotations

import numpy as np

from fastism_compiler.formats.source import Array, Source
from fastism_compiler.results.importance import importance


def importance_of(scores: Array, one_hot: Array) -> Array:
    """How much the letter at each position adds: its score minus the mean score of the others.

    For deltas, minus the mean effect of replacing it. NaN where the letter is unknown.

    Args:
        scores: `[n, P, C]`.
        one_hot: `[n, P, C]` of the sequence.
    """
    own = np.where(one_hot, scores, 0).sum(-1, keepdims=True)
    return importance(scores - own, np.where(one_hot.any(-1), one_hot.argmax(-1), -1))


def importance_by_chromosome(source: Source, track: str | None) -> dict[str, tuple[Array, Array]]:
    """Sorted positions and their importance on each chromosome; where sequences overlap, the mean.

    Raises:
        OptionError: variants, a scan of ranges, or no single track.
    """
    positions = source.need_letters("a track of importance")
    name, index = source.track(track)
    found: dict[str, list[tuple[Array, Array]]] = {chrom: [] for chrom in source.chromosomes()}
    for rows in source.pieces():
        scores = source.read_track(name, index, rows)
        values = importance_of(scores, source.scanned_letters(rows, positions)[1])
        for (chrom, at, _), row in zip(source.places(rows, positions), values, strict=True):
            known = ~np.isnan(row)
            found[chrom].append((at[known], row[known]))
    return {chrom: _mean(pairs) for chrom, pairs in found.items() if pairs}


def _mean(pairs: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    at = np.concatenate([a for a, _ in pairs])
    values = np.concatenate([v for _, v in pairs])
    where, inverse, count = np.unique(at, return_inverse=True, return_counts=True)
    return where, np.bincount(inverse, values, len(where)) / count
