"""Local worker processes: each joins the run on its own, so that one that dies costs only its current task.

A worker is `python -m fastism_compiler.runs.workers STORE SHARD NUMBER THREADS MODEL...`.
It claims tasks like any run that joins, and ends with its parent.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fastism_compiler.host.children import child_environment, end_with_parent
from fastism_compiler.host.hardware import usable_cores
from fastism_compiler.ir.errors import FastISMError
from fastism_compiler.runs.errors import RunError
from fastism_compiler.runs.run import Progress, Run, reopen
from fastism_compiler.runs.settings import Execution
from fastism_compiler.runs.store import Store
from fastism_compiler.runs.threads import set_threads

_LIVES = 3
"""Restarts of workers, over all of them, before one more task has to be finished."""
_POLL_S = 0.1


@dataclass
class _Worker:
    """A child process and what it writes to its standard error."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]

    def last_words(self) -> str:
        """The end of what it wrote."""
        self.errors.seek(0)
        return self.errors.read().decode("utf-8", "replace").strip()[-2000:]


def work_on_processes(
    execution: Execution, models: Sequence[Any], run: Run, tasks: Sequence[int], progress: Progress | None = None
) -> int:
    """Have worker processes compute `tasks`; return how many were finished until no worker found one left.

    Other processes that joined the run may still be computing then, or have finished the run.

    Raises:
        RunError: workers that stop with an error, or keep dying.
    """
    before = run.store.journal.finished() & set(tasks)
    with _pool(execution, models, run.store.path) as workers:
        done, lives = len(before), _LIVES
        while True:
            idle = all(worker.process.poll() == 0 for worker in workers)
            if run.store.complete:  # another run finished it, and took the journal away
                return len(tasks) - len(before)
            finished = len(run.store.journal.finished() & set(tasks))
            if finished > done:
                done, lives = finished, _LIVES
                if progress is not None:
                    progress(run.done(), run.rows)
            if idle or finished == len(tasks):
                return finished - len(before)
            lives -= _replace_dead(workers, lives, execution, models, run.store.path)
            time.sleep(_POLL_S)


def _replace_dead(workers: list[_Worker], lives: int, execution: Execution, models: Sequence[Any], store: Path) -> int:
    """Restart workers that were killed; return how many. Exit code 0: a worker found nothing left to do."""
    replaced = 0
    for number, worker in enumerate(workers):
        code = worker.process.poll()
        if code is None or code == 0:
            continue
        if code > 0 or replaced == lives:
            raise RunError(
                "a worker stopped; what is finished is kept, and the same command goes on from there",
                expected="exit code 0",
                got=f"exit code {code}: {worker.last_words()}",
            )
        workers[number] = _start(number, execution, models, store)
        worker.errors.close()
        replaced += 1
    return replaced


@contextmanager
def _pool(execution: Execution, models: Sequence[Any], store: Path) -> Iterator[list[_Worker]]:
    workers = [_start(number, execution, models, store) for number in range(execution.workers)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.process.wait()
            worker.errors.close()
            if worker.process.stdin is not None:
                worker.process.stdin.close()


def _start(number: int, execution: Execution, models: Sequence[Any], store: Path) -> _Worker:
    errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the worker)
    shard = "{}/{}".format(*execution.shard) if execution.shard else "1/1"
    threads = execution.threads or max(usable_cores() // execution.workers, 1)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "fastism_compiler.runs.workers",
            str(store),
            shard,
            str(number),
            str(threads),
            *map(str, models),
        ],
        stdin=subprocess.PIPE,  # closed by the system when the parent dies, which ends the worker
        stdout=subprocess.DEVNULL,
        stderr=errors,
        env=_environment(number),
    )
    return _Worker(process, errors)


def _environment(number: int) -> dict[str, str]:
    """One GPU each, where there are GPUs."""
    environment = child_environment()
    environment["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    devices = _devices(environment)
    if devices:
        environment["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]
    return environment


def _devices(environment: dict[str, str]) -> list[str]:
    """The GPUs that this process may use, as CUDA names them."""
    visible = environment.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [d for d in visible.split(",") if d and d != "-1"]
    # TensorFlow is imported late: a parent process often has no other use for it
    import tensorflow as tf

    return [str(i) for i in range(len(tf.config.list_physical_devices("GPU")))]


def main(store: str, shard: str, number: str, threads: str, *models: str) -> int:
    """What a worker process does; its exit code."""
    end_with_parent()
    index, count = (int(n) for n in shard.split("/"))
    try:
        set_threads(int(threads))
        run = reopen(Path(store), models)
        tasks = Execution(shard=(index, count)).tasks(run.tasks)
        # every worker begins elsewhere, so that few claims are tried in vain
        begin = int(number) % max(len(tasks), 1)
        run.work([*tasks[begin:], *tasks[:begin]])
    except FastISMError as error:
        if Store(Path(store)).complete:  # another run has finished it, and nothing is left to reopen
            return 0
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
