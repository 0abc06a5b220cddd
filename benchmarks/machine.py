"""What this machine can do: peak float32 GEMM rate, GEMM rates at given shapes, memory bandwidth; measured once."""

from __future__ import annotations

from functools import cache

from fastism_compiler.host import calibration

gemm_rate = cache(calibration.product_rate)
bandwidth = cache(calibration.memory_rate)


def peak_gemm_rate() -> float:
    """Best multiply-adds per second over a few large shapes."""
    return max(gemm_rate(n, k, m) for n, k, m in ((2048, 1024, 2048), (1024, 512, 2048), (4096, 512, 512)))
