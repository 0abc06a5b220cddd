"""Second order: the effects of two substitutions together, on the engines that score variants."""

from __future__ import annotations

import numpy as np

from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.pairs import place_pairs, place_singles
from fastism_compiler.results.effects import effect, no_effect
from fastism_compiler.results.pairs import together
from fastism_compiler.runtime.scoring import Scorer


def score_pairs(scorer: Scorer, block: list[Array], pairs: Array) -> tuple[list[Array], list[Array], list[Array]]:
    """Effects of pairs of substitutions in one block of sequences.

    Args:
        scorer: of the program.
        block: the inputs, `[b, ...]` each.
        pairs: `[N, 2]` positions.

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
    for placed in place_pairs(pairs, x, scorer.letters, row_bytes):
        for rows, effects in scorer.score_of_width(placed.width, block, placed.jobs, True, placed.changes):
            cells = tuple(axis[rows] for axis in placed.at)
            for both, more, y in zip(joint, interaction, effects, strict=True):
                more[cells] = effect(y, both[cells])
                both[cells] = y
    return single, joint, interaction
