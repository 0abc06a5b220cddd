"""Threads that lanes run on: kept between calls, as starting them anew costs small models a tenth of their time."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")

_MOST = 64
"""Threads that may run lanes at once, those of concurrent calls together; further lanes wait for their turn."""


class _Kept:
    """The pool of this process. Threads start when first needed, and do not survive a fork."""

    def __init__(self) -> None:
        self.pool = self._new()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        self.pool = self._new()

    @staticmethod
    def _new() -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_MOST, thread_name_prefix="fastism-lane")


_KEPT = _Kept()


def side_by_side(run: Callable[[int], T], count: int) -> list[T]:
    """`[run(0), ..., run(count - 1)]`, all at once, the first on the thread that calls.

    Returns or raises when all have ended: none keeps running after an error. Once
    Python shuts down, no thread can start, and they run one after the other.

    Raises:
        Exception: what the first of them that failed raised.
    """
    others: list[Future[T]] = []
    try:
        for number in range(1, count):
            others.append(_KEPT.pool.submit(run, number))
    except RuntimeError:  # this thread outlives the main one
        pass
    try:
        here = [run(number) for number in (0, *range(1 + len(others), count))]
    finally:
        wait(others)
    return [here[0], *(other.result() for other in others), *here[1:]]
