"""The scatter-gemm kernel: one product `[rows*w, Cin] x [Cin, k*Cout]`, or one of bands, then overlap-add.

A position of `C` channels times `k` taps of `F` filters is a product `[1, C] x [C, k*F]`; every output sums `k` of its
terms. A band of `b` positions, one dilation apart, can be one row `[1, b*C]`; its matrix holds the taps `b` times, each
time `F` columns further right (banded Toeplitz, Golub and Van Loan, Matrix Computations, 4.7). Whole bands then
overlap: about a `b`-th of the terms, for `(b - 1) * F` columns of zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastism_compiler.ir.kernels.spec import Contraction, KernelShape, KernelSpec
from fastism_compiler.ir.position_map import ceil_div

_MOST_TERMS = 12
"""XLA's loop over a sum of more shifted terms is several times slower (`benchmarks/results/README.md`)."""

_FEW_FILTERS = 8
"""With fewer filters, the product of one position is too narrow for a vector unit (`benchmarks/results/README.md`)."""

_VECTOR = 16
"""float32 lanes of the widest vector: a partly filled vector wastes more than padding with zeros."""


@dataclass(frozen=True, slots=True)
class Banding:
    """A window of `width` positions and a kernel of `taps`, both `dilation` apart; outputs `stride` apart."""

    width: int
    taps: int
    filters: int
    dilation: int
    stride: int = 1

    @property
    def together(self) -> int:
        """Positions per band."""
        steps = ceil_div(self.width, self.dilation)
        terms = self.taps if self.dilation > 1 else min(self.width, self.taps)
        few = self.filters < _FEW_FILTERS and self.taps > 1
        if self.stride > 1 or not (few or terms > _MOST_TERMS):
            return 1
        most = 2
        while _pieces(most, self.taps) > _MOST_TERMS:
            most *= 2
        # bands as equal as possible: else the last would be mostly zeros
        return ceil_div(steps, ceil_div(steps, most))

    @property
    def bands(self) -> int:
        """Number of bands of a window, for each of the `dilation` phases of its positions."""
        return ceil_div(self.width, self.together * self.dilation)

    @property
    def rows(self) -> int:
        """Rows of the product for one window."""
        return self.width if self.together == 1 else self.bands * self.dilation

    @property
    def pieces(self) -> int:
        """Number of output bands that one band of positions reaches."""
        return _pieces(self.together, self.taps)

    @property
    def columns(self) -> int:
        """Number of columns of the matrix; the last ones may be zeros."""
        if self.together == 1:
            return self.taps * self.filters
        reached = self.pieces * self.together * self.filters
        return ceil_div(reached, _VECTOR) * _VECTOR if self.filters < _FEW_FILTERS else reached


def _pieces(together: int, taps: int) -> int:
    return ceil_div(together + taps - 1, together)


def _banding(shape: KernelShape) -> Banding:
    return Banding(shape.width, shape.taps, shape.filters, shape.dilation, shape.stride)


def _scratch(shape: KernelShape) -> int:
    banding = _banding(shape)
    return banding.rows * banding.columns


def _arranged(shape: KernelShape) -> int:
    banding = _banding(shape)
    return banding.together * shape.channels * banding.columns


def _moved(shape: KernelShape) -> int:
    return _scratch(shape) + shape.out_width * shape.filters


SPEC = KernelSpec(
    name="scatter-gemm",
    computes=frozenset({Contraction.CONVOLUTION, Contraction.TRANSPOSED}),
    multiply_adds=lambda shape: _banding(shape).rows * _arranged(shape),
    scratch=_scratch,
    arranged=_arranged,
    moved=_moved,
)
