"""What this machine can do: peak float32 GEMM rate, GEMM rates at given shapes, memory bandwidth."""

from __future__ import annotations

from functools import cache

import numpy as np

from benchmarks.timing import least_seconds


@cache
def gemm_rate(rows: int = 2048, inner: int = 1024, columns: int = 2048) -> float:
    """Multiply-adds per second of one jitted product of this shape, inputs in cache where they fit."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    a = tf.constant(rng.standard_normal((rows, inner)), tf.float32)
    b = tf.constant(rng.standard_normal((inner, columns)), tf.float32)
    work = rows * inner * columns
    steps = int(np.clip(2e9 / work, 1, 2000))

    @tf.function(jit_compile=True)
    def run(a, b):  # type: ignore[no-untyped-def]
        def body(i, total):  # type: ignore[no-untyped-def]
            # a depends on the loop, so that the product is not moved out of it
            return i + 1, total + tf.reduce_sum(tf.matmul(a + total * 0, b)[:1, :1])

        return tf.while_loop(lambda i, _: i < steps, body, (0, tf.constant(0.0)), maximum_iterations=steps)[1]

    return work * steps / least_seconds(lambda: run(a, b).numpy())


def peak_gemm_rate() -> float:
    """Best multiply-adds per second over a few large shapes."""
    return max(gemm_rate(n, k, m) for n, k, m in ((2048, 1024, 2048), (1024, 512, 2048), (4096, 512, 512)))


@cache
def bandwidth() -> float:
    """Bytes per second of a large copy, read and write counted."""
    x = np.ones(1 << 26, dtype=np.float32)
    y = np.empty_like(x)
    return 2 * x.nbytes / least_seconds(lambda: np.copyto(y, x))
