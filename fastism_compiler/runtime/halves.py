"""Pairs of substitutions whose windows meet late: each runs alone down to a neck of the model, both together behind it.

At the neck, the windows of two changes share no position. So the value there
is the reference, and in each window what its own substitution alone makes of
it: the part in front is run once for each substitution, not for each pair.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.mutations.letters import Letters
from fastism_compiler.mutations.pairs import place_singles
from fastism_compiler.results.blocks import OutputWindow
from fastism_compiler.runtime.engine import Engine


@dataclass(frozen=True, slots=True)
class Alone:
    """What single substitutions of one sequence change at the neck.

    Attributes:
        inputs: of the part behind the neck, for this sequence: flat, `[1, ...]` each.
        windows: `[P, C, w, channels]`, mutant - reference; 0 for a letter that is there already.
        start: `[P]`, the first position of each.
        trusted: `[P, C]` bool.
    """

    inputs: list[Array]
    windows: Array
    start: Array
    trusted: Array


@dataclass(frozen=True, slots=True)
class Halves:
    """A program in two parts.

    Attributes:
        front: gives windows of changes at the neck, for one letter at every position.
        back: its change range number `i` is `[i, i + width)` at the neck.
        window: where the windows of single substitutions are, at the neck.
        width: of the windows of both changes and what lies between, at the neck.
        position_bytes: of one position there.
        most_bytes: most that the windows of single substitutions may take together.
        sequence: position of the sequence among the flat inputs, of both parts.
        letters: of the sequence.
    """

    front: Engine
    back: Engine
    window: OutputWindow
    width: int
    position_bytes: int
    most_bytes: int
    sequence: int
    letters: Letters

    def bytes_of(self, positions: int) -> int:
        """Of the windows of every letter at so many positions."""
        return positions * self.letters.count * self.window.width * self.position_bytes

    def alone(self, inputs: Sequence[Array], positions: Array) -> Alone:
        """Run the part in front for every letter at some positions of one sequence (flat inputs `[1, ...]`)."""
        jobs, _, (_, place, letter) = place_singles(positions, inputs[self.sequence], self.letters)
        found = self.front.run(inputs, jobs, delta=True)
        shape = len(positions), self.letters.count
        windows = np.zeros((*shape, *found.outputs[0].shape[1:]), found.outputs[0].dtype)
        trusted = np.ones(shape, bool)
        windows[place, letter], trusted[place, letter] = found.outputs[0], found.trusted
        behind = [found.references[0] if k == self.sequence else x for k, x in enumerate(inputs)]
        return Alone(behind, windows, self.window.start[positions], trusted)

    def together(self, alone: Alone, one: tuple[Array, Array], other: tuple[Array, Array]) -> tuple[list[Array], Array]:
        """Effects of pairs, `[n, *out]` each, and which of them to trust, `[n]`.

        Args:
            alone: what each changes at the neck.
            one: numbers of positions and of letters, `[n]` each.
            other: the same of the second substitutions.
        """
        table = alone.inputs[self.sequence][0]
        begins = [alone.start[place] for place, _ in (one, other)]
        start = np.minimum(np.minimum(*begins), len(table) - self.width)
        replacement = table[start[:, None] + np.arange(self.width)]
        rows, within = np.arange(len(start))[:, None], np.arange(alone.windows.shape[2])
        for begin, cells in zip(begins, (one, other), strict=True):
            replacement[rows, (begin - start)[:, None] + within] += alone.windows[cells]
        jobs = Jobs(np.zeros(len(start), np.int32), start.astype(np.int32), replacement)
        found = self.back.run(alone.inputs, jobs, delta=True)
        return found.outputs, found.trusted & alone.trusted[one] & alone.trusted[other]
