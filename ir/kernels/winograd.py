"""The winograd kernel: pairs of positions meet groups of taps in a third fewer products, then overlap-add.

Two positions `d0 + d1 z` meet a group of taps `g0 + g1 z + g2 z^2` as polynomials do, `z` being a step of one
dilation. Their product has one coefficient more than the group has taps, and is known from its values at as many
points: `t + 1` products instead of `2t`. (S. Winograd, Arithmetic Complexity of Computations, 1980; F(2, 3) of
Lavin and Gray, CVPR 2016, transposed: a window of changes is scattered, not gathered.)
"""

from __future__ import annotations

from dataclasses import dataclass

from fastism_compiler.ir.kernels.spec import Contraction, KernelShape, KernelSpec

_MOST_TAPS = 3
"""Taps of a group: more would need points beyond 0, 1, -1 and infinity, and round worse."""

_MOVED = 2.2
"""Cost of a moved element, relative to `scatter-gemm`: every product is read for two or three outputs
(`python -m benchmarks.kernels`)."""

_STARTS = 9
"""Small operations: two more products than other kernels, and the sums around all three."""


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
        """Number of positions that are first in their pair, or unpaired."""
        pairs, left = divmod(self.width, 2 * self.dilation)
        return pairs * self.dilation + min(left, self.dilation)

    @property
    def second(self) -> int:
        """Number of positions that are second in their pair."""
        return self.width - self.first

    @property
    def groups(self) -> tuple[int, ...]:
        """Taps per group; only the last may be smaller."""
        full, left = divmod(self.taps, _MOST_TAPS)
        return (_MOST_TAPS,) * full + ((left,) if left else ())

    @property
    def matrices(self) -> int:
        """Number of matrices `[channels, filters]` of the arranged weights: every group at all of its points."""
        return self.taps + len(self.groups)

    @property
    def products(self) -> int:
        """Products of one position's channels with such a matrix; a position alone needs one per tap."""
        return self.second * self.matrices + (self.first - self.second) * self.taps


def _pairing(shape: KernelShape) -> Pairing:
    return Pairing(shape.width, shape.taps, shape.dilation)


def _applies(shape: KernelShape, precision: str) -> bool:
    """There must be pairs. float32 only: values at 1 and -1 cancel, which costs a lower precision too many digits."""
    return precision == "float32" and _pairing(shape).second > 0


def _scratch(shape: KernelShape) -> int:
    """The pairs at four points, and the products."""
    return 2 * shape.width * shape.channels + _pairing(shape).products * shape.filters


def _moved(shape: KernelShape) -> float:
    return _MOVED * (_scratch(shape) + shape.out_width * shape.filters)


SPEC = KernelSpec(
    name="winograd",
    computes=frozenset({Contraction.CONVOLUTION}),
    multiply_adds=lambda shape: _pairing(shape).products * shape.channels * shape.filters,
    scratch=_scratch,
    arranged=lambda shape: _pairing(shape).matrices * shape.channels * shape.filters,
    moved=_moved,
    starts=_STARTS,
    applies=_applies,
    stores_operands=True,
    spares_products=True,
)
