"""Calibration: what the machine at hand does in a second, measured through XLA as programs run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

_REPEATS = 5
_WORK = 2e9
"""Multiply-adds of one timed call."""
_LARGE = 1 << 26
"""Elements that no cache holds."""
_PASSES = 8
_CHAIN = 16
_LOOPS = 200


def least_seconds(call: Callable[[], Any]) -> float:
    """Shortest of a few runs, after one to compile."""
    call()
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def product_rate(rows: int = 2048, inner: int = 1024, columns: int = 2048) -> float:
    """Multiply-adds per second of float32 products `[rows, inner] x [inner, columns]`, in cache where they fit."""
    a, b = tf.random.normal([rows, inner]), tf.random.normal([inner, columns])
    work = rows * inner * columns
    steps = int(np.clip(_WORK / work, 1, 2000))

    def step(i: Any, total: Any) -> Any:
        # a depends on the loop, so that the product is not moved out of it
        return i + 1, total + tf.reduce_sum(tf.matmul(a + total * 0, b)[:1, :1])

    return work * steps / least_seconds(_looped(step, steps, tf.constant(0.0)))


def memory_rate() -> float:
    """Bytes per second, read and written, of an element-wise operation on what no cache holds."""

    def run(x: Any) -> Any:
        last = tf.while_loop(lambda i, _: i < _PASSES, lambda i, x: (i + 1, x + 1), (0, x))[1]
        return last[:1]  # the loop adds in place; a result of this size would have to be allocated

    x, function = tf.ones([_LARGE]), tf.function(run, jit_compile=True, autograph=False)
    return 2 * 4 * _LARGE * _PASSES / least_seconds(lambda: function(x).numpy())


def start_seconds() -> float:
    """Seconds of one of many small products that each need the one before."""
    b = tf.random.normal([16, 16])

    def step(i: Any, x: Any) -> Any:
        for _ in range(_CHAIN):
            x = tf.matmul(x, b)
        return i + 1, x / (1 + tf.reduce_max(tf.abs(x)))

    return least_seconds(_looped(step, _LOOPS, tf.random.normal([8, 16]))) / (_LOOPS * _CHAIN)


def _looped(step: Callable[..., Any], steps: int, first: Any) -> Callable[[], Any]:
    """A jitted loop of `steps` steps from `first` on."""

    def run(x: Any) -> Any:
        return tf.while_loop(lambda i, _: i < steps, step, (0, x), maximum_iterations=steps)[1]

    function = tf.function(run, jit_compile=True, autograph=False)
    return lambda: function(first).numpy()
