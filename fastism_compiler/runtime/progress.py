"""A progress bar for loops that turn out to take more than a few seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence

_PATIENCE_S = 3.0
_ONE = threading.Lock()
"""Held by the loop that shows a bar: those inside it, and those of other threads, show none meanwhile."""


def track(steps: Sequence[int], what: str, per_step: int = 1) -> Iterator[int]:
    """Yield `steps`; show a bar once they have taken three seconds and someone is watching.

    Args:
        steps: what to loop over.
        what: the noun shown.
        per_step: how many of them one step stands for.
    """
    if len(steps) < 2 or not sys.stderr.isatty():
        yield from steps
        return
    yield from _with_bar(steps, what, per_step)


def _with_bar(steps: Sequence[int], what: str, per_step: int) -> Iterator[int]:
    # rich is imported only where a bar may be shown
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    started = time.monotonic()
    bar = Progress(*columns, console=Console(stderr=True), transient=True)
    task = bar.add_task(what, total=len(steps) * per_step)
    shown = False
    try:
        for done, step in enumerate(steps):
            if not shown and time.monotonic() - started > _PATIENCE_S and _ONE.acquire(blocking=False):
                bar.start()
                shown = True
            bar.update(task, completed=done * per_step)
            yield step
    finally:
        bar.stop()
        if shown:
            _ONE.release()
