"""Timing: warm-up, repeats, the median; interleaved so that both sides see the same machine.

A sample repeats short calls for `_LEAST` seconds, so that neither caches filled by
another call nor one late wake-up of a thread decides.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

_LEAST = 0.3
"""Seconds that one sample lasts at least."""


def seconds(call: Callable[[], Any], repeats: int = 3, warm_up: int = 1) -> float:
    """Median of some samples of a call's wall time, in seconds."""
    for _ in range(warm_up):
        call()
    return statistics.median(_sample(call) for _ in range(repeats))


def turns(*calls: Callable[[], Any], rounds: int = 3) -> list[float]:
    """Median seconds of each call, sampled in turn after one warm-up of each."""
    for call in calls:
        call()
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(rounds):
        for mine, call in zip(times, calls, strict=True):
            mine.append(_sample(call))
    return [statistics.median(mine) for mine in times]


def _sample(call: Callable[[], Any]) -> float:
    """Mean seconds of as many calls as one sample takes."""
    calls, started = 0, time.perf_counter()
    while calls == 0 or time.perf_counter() - started < _LEAST:
        call()
        calls += 1
    return (time.perf_counter() - started) / calls
