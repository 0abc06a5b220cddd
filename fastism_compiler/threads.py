"""Threads that lanes run on: kept between calls, as a new one costs a small model a fifth of its time."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
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

    Returns or raises when all have ended: none runs on behind an error.

    Raises:
        Exception: what the first of them that failed raised.
    """
    others = [_KEPT.pool.submit(run, number) for number in range(1, count)]
    try:
        first = run(0)
    finally:
        wait(others)
    return [first, *(other.result() for other in others)]
