"""Winograd's minimal convolution: how a window is paired, a kernel grouped, and how many products are left.

Two positions `d0 + d1 z` meet a group of taps `g0 + g1 z + g2 z^2` as polynomials do, `z` being a step of one
dilation. Their product has one coefficient more than the group has taps, and is known from its values at as many
points: `t + 1` products instead of `2t`. (S. Winograd, Arithmetic Complexity of Computations, 1980; F(2, 3) of
Lavin and Gray, CVPR 2016, transposed: a window of changes is spread, not gathered.)
"""

from __future__ import annotations

from dataclasses import dataclass

_MOST_TAPS = 3
"""Taps of a group: more would need points beyond 0, 1, -1 and infinity, and round worse."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """A window of `width` positions and a kernel of `taps`, both `dilation` apart.

    Positions go in blocks of one dilation: the first block is paired with the
    second, the third with the fourth, position by position. The last ones may
    be left without a second.
    """

    width: int
    taps: int
    dilation: int

    @property
    def first(self) -> int:
        """Positions that come first in their pair, or have none."""
        pairs, left = divmod(self.width, 2 * self.dilation)
        return pairs * self.dilation + min(left, self.dilation)

    @property
    def second(self) -> int:
        """Positions that come second."""
        return self.width - self.first

    @property
    def groups(self) -> tuple[int, ...]:
        """Taps per group; only the last may be smaller."""
        full, left = divmod(self.taps, _MOST_TAPS)
        return (_MOST_TAPS,) * full + ((left,) if left else ())

    @property
    def matrices(self) -> int:
        """Arranged weights, in matrices of `[channels, filters]`: every group at all of its points."""
        return self.taps + len(self.groups)

    @property
    def products(self) -> int:
        """Products of one position's channels with such a matrix; a position alone needs one per tap."""
        return self.second * self.matrices + (self.first - self.second) * self.taps
