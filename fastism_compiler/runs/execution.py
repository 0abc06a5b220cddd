"""How a run is carried out: alone, shared with others, on local processes or on a cluster."""

from __future__ import annotations

from pathlib import Path

from fastism_compiler.runs.cluster import work_on_cluster
from fastism_compiler.runs.jobs import Job
from fastism_compiler.runs.run import Progress, Run, Summary, finish, mend_manifest, prepare
from fastism_compiler.runs.settings import Execution
from fastism_compiler.runs.threads import set_threads
from fastism_compiler.runs.workers import work_on_processes


def execute(job: Job, output: Path, execution: Execution, progress: Progress | None = None) -> Summary:
    """Carry out a job; the same call continues an earlier one, however that one ended.

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
        mended = prepared.mended + (mend_manifest(prepared, job) if counts is not None else 0)
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
        mended=mended,
        warnings=found.refusals.warnings,
    )


def _work(job: Job, run: Run, execution: Execution, progress: Progress | None) -> int:
    tasks = execution.tasks(run.tasks)
    models = (job.model, *job.settings.also)
    if execution.client is not None:
        return work_on_cluster(execution, models, run, tasks, progress)
    if execution.workers > 1:
        return work_on_processes(execution, models, run, tasks, progress)
    return run.work(tasks, progress)
