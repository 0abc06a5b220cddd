"""Timing: warm-up, repeats, the median; interleaved so that both sides see the same machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


def seconds(call: Callable[[], Any], repeats: int = 3, warm_up: int = 1) -> float:
    """Median wall time of `call`, in seconds."""
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)
