"""Kernels for contractions on deltas, by name: `fastism_compiler.ir.kernels` declares what each of them costs.

Each kernel is a module with two functions: `prepare` arranges the weights once
per block, `apply` runs once per tile. All give the same numbers up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.kernels import direct, gather_gemm, kernel_rows, scatter_gemm, toeplitz, winograd
from fastism_compiler.emit.precision import Arithmetic
from fastism_compiler.ir import Node

Prepare = Callable[[Node, Tensor, int], Any]
"""`(node, weights, window width) -> arranged weights`: a tensor, or a tuple of them"""
Apply = Callable[[Node, Tensor, Any, Arithmetic, Callable[[], Tensor]], Tensor]
"""`(node, rows, arranged weights, arithmetic, starts) -> rows`; `starts()` is where rows are stored, `[T]` or `[]`"""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One lowering of a contraction on deltas."""

    prepare: Prepare
    apply: Apply


KERNELS: dict[str, Kernel] = {
    "scatter-gemm": Kernel(scatter_gemm.prepare, scatter_gemm.apply),
    "winograd": Kernel(winograd.prepare, winograd.apply),
    "toeplitz": Kernel(toeplitz.prepare, toeplitz.apply),
    "gather-gemm": Kernel(gather_gemm.prepare, gather_gemm.apply),
    "direct": Kernel(direct.prepare, direct.apply),
    "kernel-rows": Kernel(kernel_rows.prepare, kernel_rows.apply),
}
"""The same keys as `fastism_compiler.ir.kernels.KERNELS`."""
