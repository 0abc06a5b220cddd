"""The gather-gemm kernel: one product `[rows*n, k*Cin] x [k*Cin, Cout]` over the `n` outputs that are needed.

For windows of which edges, crops or selected outputs leave few output positions.
"""

from __future__ import annotations

from fastism_compiler.ir.kernels.spec import Contraction, KernelShape, KernelSpec


def _columns(shape: KernelShape) -> int:
    """The inputs of every output side by side, tap by tap."""
    return shape.out_width * shape.taps * shape.channels


def _moved(shape: KernelShape) -> int:
    return shape.width * shape.channels + 2 * _columns(shape)


SPEC = KernelSpec(
    name="gather-gemm",
    computes=frozenset({Contraction.CONVOLUTION}),
    multiply_adds=lambda shape: _columns(shape) * shape.filters,
    scratch=_columns,
    moved=_moved,
    reads_only_changes=True,
)
