"""How a run is carried out: alone, shared with others, on local processes or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.jobs import Job
from fastism_compiler.runs.run import Progress, Run, Summary, finish, prepare
from fastism_compiler.runs.threads import set_threads


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """Who computes what. Nothing here changes a number.

    Attributes:
        join: share the work with other runs of the same command on the same store.
        shard: `(i, n)`: only the `i`-th of `n` parts of the tasks (from 1); shards join by themselves.
        workers: local processes; with GPUs, one on each.
        threads: threads of each process (equal bits need equal threads); None:
            TensorFlow's choice, or the cores divided among local workers.
        client: a `distributed.Client`, or the address of a scheduler.
        verify: compare a few ranges with naive ISM first.
    """

    join: bool = False
    shard: tuple[int, int] | None = None
    workers: int = 1
    threads: int | None = None
    client: Any = None
    verify: bool = True

    def check(self, model: Any) -> None:
        """Refuse what does not go together.

        Raises:
            OptionError: no worker, a shard that does not exist, or a model that other processes cannot load.
        """
        if self.workers < 1 or (self.threads is not None and self.threads < 1):
            raise OptionError("at least one worker and one thread are needed", got=(self.workers, self.threads))
        if self.shard is not None and not 1 <= self.shard[0] <= self.shard[1]:
            raise OptionError("a shard is i/n, i from 1 to n", expected="such as 1/8", got="{}/{}".format(*self.shard))
        if self.client is not None and self.workers > 1:
            raise OptionError("a cluster brings its own workers", expected="workers or a client", got="both")
        if (self.client is not None or self.workers > 1) and not isinstance(model, str | Path):
            raise OptionError("other processes load the model from a file", expected="a path", got=type(model).__name__)

    def tasks(self, tasks: Sequence[int]) -> Sequence[int]:
        """This shard's part of the tasks."""
        return tasks if self.shard is None else tasks[self.shard[0] - 1 :: self.shard[1]]


def execute(job: Job, output: Path, execution: Execution, progress: Progress | None = None) -> Summary:
    """Carry out a job; the same call goes on where an earlier one ended, however that was.

    Raises:
        FastISMError: what cannot be read, compiled or written (see `run.prepare`).
    """
    execution.check(job.model)
    if execution.threads is not None and execution.workers == 1 and execution.client is None:
        set_threads(execution.threads)
    join = execution.join or execution.shard is not None
    prepared = prepare(job, output, verify=execution.verify, join=join)
    store, found = prepared.store, prepared.found
    computed = 0
    try:
        if not store.complete:
            run = Run(store, prepared.scorer)
            if progress is not None:
                progress(run.done(), run.rows)
            computed = _work(job, run, execution, progress)
        counts = finish(prepared, job)
    finally:
        store.journal.leave()
    rows, per_task = store.attributes["rows"], store.attributes["rows_per_task"]
    return Summary(
        output=str(output),
        complete=counts is not None,
        tasks=-(-rows // per_task),
        computed=computed,
        counts=counts if counts is not None else dict(found.counts),
        messages=[found.refusals.first[rule] for rule in sorted(found.refusals.first)],
        mended=prepared.mended,
    )


def _work(job: Job, run: Run, execution: Execution, progress: Progress | None) -> int:
    tasks = execution.tasks(run.tasks)
    if execution.client is not None:
        from fastism_compiler.runs.cluster import work_on_cluster

        return work_on_cluster(execution, job.model, run, tasks, progress)
    if execution.workers > 1:
        from fastism_compiler.runs.workers import work_on_processes

        return work_on_processes(execution, job.model, run, tasks, progress)
    return run.work(tasks, progress)
