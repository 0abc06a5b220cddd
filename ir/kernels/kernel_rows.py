"""The kernel-rows kernel: a flattened window meets its rows of a dense kernel, and no others."""

from __future__ import annotations

from fastism_compiler.ir.kernels.spec import Contraction, KernelSpec

SPEC = KernelSpec(
    name="kernel-rows",
    computes=frozenset({Contraction.POSITIONS}),
    multiply_adds=lambda shape: shape.width * shape.channels * shape.filters,
    contracts_positions=True,
)
