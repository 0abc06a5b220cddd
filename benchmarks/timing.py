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


def turns(*calls: Callable[[], Any], rounds: int = 3) -> list[float]:
    """Median seconds of each call, run in turn after one warm-up of each."""
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for mine, call in zip(times, calls, strict=True):
            started = time.perf_counter()
            call()
            mine.append(time.perf_counter() - started)
    return [statistics.median(mine) for mine in times]
