"""The toeplitz kernel: one product `[rows, w*Cin] x [w*Cin, w_out*Cout]` with a banded matrix, and no overlap-add."""

from __future__ import annotations

from fastism_compiler.ir.kernels.spec import Contraction, KernelShape, KernelSpec

_ARRANGING = 1.0
"""Multiply-adds per element of the matrix, which repeats every tap. Other kernels arrange less; charging them too
predicts no better (`python -m benchmarks.kernels`)."""


def _matrix(shape: KernelShape) -> int:
    return shape.width * shape.channels * shape.out_width * shape.filters


SPEC = KernelSpec(
    name="toeplitz",
    computes=frozenset({Contraction.CONVOLUTION}),
    multiply_adds=_matrix,
    arranged=_matrix,
    arranging=_ARRANGING,
)
