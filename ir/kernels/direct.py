"""The direct kernel: the ordinary op, on a zero-padded window."""

from __future__ import annotations

from fastism_compiler.ir.kernels.spec import Contraction, KernelShape, KernelSpec

_SLOWDOWN = 1.8
"""A small convolution takes this many times as long as a product of as many multiply-adds
(`python -m benchmarks.kernels`)."""


def _multiply_adds(shape: KernelShape) -> int:
    """Every output meets every tap, zeros included; in a transposed convolution, one tap in `stride`."""
    return shape.out_width * shape.taps * shape.channels * shape.filters // shape.stride


SPEC = KernelSpec(
    name="direct",
    computes=frozenset({Contraction.CONVOLUTION, Contraction.OTHER}),
    multiply_adds=_multiply_adds,
    slowdown=_SLOWDOWN,
)
