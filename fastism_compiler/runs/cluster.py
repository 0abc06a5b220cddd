"""A run on a dask cluster: one task of the run is one task of the scheduler.

Workers read the model and the store by their paths, which every worker has to
be able to read. Each worker compiles once. The scheduler gives the task of a
killed worker to another one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from fastism_compiler.extras import missing_extra
from fastism_compiler.runs.errors import RunError
from fastism_compiler.runs.run import IDENTITY, Progress, Run, reopen
from fastism_compiler.runs.settings import Execution
from fastism_compiler.runs.threads import set_threads


@dataclass(frozen=True, slots=True)
class Where:
    """How workers find a run: paths of its store and models, and as JSON what tells it apart (`IDENTITY`, block)."""

    store: str
    models: tuple[str, ...]
    identity: str


_opened: dict[Where, Run] = {}
_opening = threading.Lock()


def work_on_cluster(
    execution: Execution, models: Sequence[Any], run: Run, tasks: Sequence[int], progress: Progress | None = None
) -> int:
    """Have a cluster compute `tasks`; return how many it computed.

    Args:
        execution: its client (a `distributed.Client`, or the address of a scheduler) and threads.
        models: paths of the model, and of those that are combined with it.
        run: the prepared run.
        tasks: what to compute.
        progress: called with finished and all rows.

    Raises:
        OptionError: distributed is not installed.
        RunError: a scheduler that cannot be reached, or a task that keeps failing.
    """
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        raise missing_extra("a cluster", "distributed", "cluster") from error
    client = mine = execution.client
    if isinstance(client, str):
        try:
            mine = distributed.Client(client)
        except (OSError, ValueError) as error:
            raise RunError("the scheduler cannot be reached", expected="its address", got=client) from error
    finished = run.store.journal.finished()
    waiting = [t for t in tasks if t not in finished]
    attributes = run.store.attributes
    identity = json.dumps({key: attributes[key] for key in (*IDENTITY, "block", "rows_per_task")}, sort_keys=True)
    where = Where(str(run.store.path.resolve()), tuple(str(Path(model).resolve()) for model in models), identity)
    try:
        futures = mine.map(_compute, waiting, where=where, threads=execution.threads, pure=False)
        for future in distributed.as_completed(futures):
            if future.status != "finished":
                raise RunError(
                    "a task failed; what is finished is kept, and the same command goes on from there",
                    got=f"{future.status}: {future.exception()}",
                )
            if progress is not None:
                progress(run.done(), run.rows)
    finally:
        if mine is not client:
            mine.close()
    return len(waiting)


def _compute(task: int, where: Where, threads: int | None) -> int:
    """One task, on a worker."""
    with _opening:
        if where not in _opened:
            if threads is not None:
                set_threads(threads)
            _opened[where] = reopen(Path(where.store), where.models)
    run = _opened[where]
    if not run.store.journal.is_finished(task):  # a worker that the scheduler took for dead may have finished it
        run.do(task)
    return task
