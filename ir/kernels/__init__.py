"""The kernels: how a contraction runs on deltas. One module each declares what it costs and where it applies.

`fastism_compiler.emit.kernels` computes them: one module each, in a table with the same keys.
"""

from fastism_compiler.ir.kernels import direct, gather_gemm, kernel_rows, scatter_gemm, toeplitz, winograd
from fastism_compiler.ir.kernels.spec import Contraction, Geometry, KernelShape, KernelSpec

KERNELS: dict[str, KernelSpec] = {
    spec.name: spec
    for spec in (
        scatter_gemm.SPEC,
        winograd.SPEC,
        toeplitz.SPEC,
        gather_gemm.SPEC,
        direct.SPEC,
        kernel_rows.SPEC,
    )
}
"""Every kernel by name; of two that cost the same, the first is taken."""

__all__ = ["KERNELS", "Contraction", "Geometry", "KernelShape", "KernelSpec"]
