"""Second order: the effects of two substitutions together, on the engines that score variants."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.pairs import Cells, by_width, new_pairs, place_pairs, place_singles
from fastism_compiler.results.effects import effect, no_effect
from fastism_compiler.results.pairs import together
from fastism_compiler.runtime.halves import Alone, Halves
from fastism_compiler.runtime.scoring import Scorer

Scored = Iterator[tuple[Cells, list[Array]]]
"""Mutants, and their effects: flat, `[n, *out]` each."""


def score_pairs(
    scorer: Scorer, block: list[Array], pairs: Array, sequences: int
) -> tuple[list[Array], list[Array], list[Array]]:
    """Effects of pairs of substitutions in one block of sequences.

    Args:
        scorer: of the program.
        block: the inputs, `[b, ...]` each.
        pairs: `[N, 2]` positions.
        sequences: of all blocks of the call.

    Returns:
        Flat `single` `[b, P, C, *out]`, `joint` and `interaction` `[b, N, C, C, *out]` (see `PairEffects`).
    """
    x = block[scorer.inputs.sequence]
    positions, place = np.unique(pairs, return_inverse=True)
    one, other = place.reshape(pairs.shape).T
    shape = (len(x), len(positions), scorer.letters.count)
    single: list[Array] = []
    jobs, changes, at = place_singles(positions, x, scorer.letters)
    for rows, effects in scorer.score_of_width(1, block, jobs, True, changes):
        single = single or [np.zeros((*shape, *y.shape[1:]), y.dtype) for y in effects]
        for result, y in zip(single, effects, strict=True):
            result[tuple(axis[rows] for axis in at)] = y
    single = single or [no_effect((*shape, *y.shape[1:]), y) for y in scorer.references(block)]
    # where a letter is already there, the two together are the other one alone: the sum of both, one of them 0
    joint = [together(y[:, one], y[:, other]) for y in single]
    interaction = [np.zeros_like(y) for y in joint]
    row_bytes = sum(y[:1, 0, 0].nbytes for y in single)
    for cells, effects in _PairScorer(scorer, block, pairs, sequences, row_bytes).scored():
        for both, more, y in zip(joint, interaction, effects, strict=True):
            more[cells] = effect(y, both[cells])
            both[cells] = y
    return single, joint, interaction


class _PairScorer:
    """The pairs of one block.

    Args:
        scorer, block, pairs, sequences: as in `score_pairs`.
        row_bytes: of the results of one mutant.
    """

    def __init__(self, scorer: Scorer, block: list[Array], pairs: Array, sequences: int, row_bytes: int) -> None:
        self._scorer, self._block, self._pairs, self._row_bytes = scorer, block, pairs, row_bytes
        self._sequences = sequences
        self._x, self._letters = block[scorer.inputs.sequence], scorer.letters

    def scored(self) -> Scored:
        """All of them."""
        for width, numbers in by_width(self._pairs, self._x.shape[1]):
            mutants = self._sequences * len(numbers) * (self._letters.count - 1) ** 2
            halves = self._scorer.halves(width, mutants)
            if halves is not None and halves.bytes_of(2) <= halves.most_bytes:
                for sequence in range(len(self._x)):
                    yield from self._apart(halves, sequence, width, numbers)
                continue
            replacement_bytes = width * self._letters.columns * self._x.itemsize
            for cells in new_pairs(
                self._pairs, numbers, self._x, self._letters, max(replacement_bytes, self._row_bytes)
            ):
                yield from self._as_one(cells, width)

    def _as_one(self, cells: Cells, width: int) -> Scored:
        """In one window that holds both positions."""
        jobs, changes = place_pairs(self._pairs, cells, width, self._x, self._letters)
        for rows, effects in self._scorer.score_of_width(width, self._block, jobs, True, changes):
            yield _some(cells, rows), effects

    def _apart(self, halves: Halves, sequence: int, width: int, numbers: Array) -> Scored:
        """Each alone until their windows meet; results that cannot be trusted, in one window."""
        positions, place = np.unique(self._pairs[numbers], return_inverse=True)
        if len(numbers) > 1 and halves.bytes_of(len(positions)) > halves.most_bytes:
            for half in self._in_two(numbers):
                yield from self._apart(halves, sequence, width, half)
            return
        inputs = [x[sequence : sequence + 1] for x in self._block]
        alone: Alone | None = None  # of pairs that are all there already, nothing runs
        places = place.reshape(-1, 2)
        mutant_bytes = max(halves.width * halves.position_bytes, self._row_bytes)
        x = self._x[sequence : sequence + 1]
        for _, n, a, c in new_pairs(self._pairs, numbers, x, self._letters, mutant_bytes):
            alone = alone or halves.alone(inputs, positions)
            one, other = places[np.searchsorted(numbers, n)].T
            effects, trusted = halves.together(alone, (one, a), (other, c))
            cells = np.full(len(n), sequence), n, a, c
            yield _some(cells, trusted), [y[trusted] for y in effects]
            if not trusted.all():
                yield from self._as_one(_some(cells, ~trusted), width)

    def _in_two(self, numbers: Array) -> list[Array]:
        """Some pairs in two parts that have few positions in common: cut where there are more of them."""
        pairs = self._pairs[numbers]
        axis = int(len(np.unique(pairs[:, 1])) > len(np.unique(pairs[:, 0])))
        parts = np.array_split(numbers[np.argsort(pairs[:, axis], kind="stable")], 2)
        return [np.sort(part) for part in parts]


def _some(cells: Cells, rows: Array) -> Cells:
    b, n, a, c = cells
    return b[rows], n[rows], a[rows], c[rows]
