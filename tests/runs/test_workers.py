"""Local worker processes and a real dask cluster, each with one process killed: the bits of a run alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

import fastism_compiler as fc
from fastism_compiler.runs.run import reopen
from tests.runs.models import save, small_model, write_fasta
from tests.runs.test_resume import ROOT, digests

COUNT = 32
SETTINGS = fc.ScanSettings(batch_size=1, window=20)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("inputs")
    return save(small_model(), folder), write_records(folder / "in.fa", COUNT)


def write_records(path: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    return write_fasta(path, {f"s{i}": "".join(rng.choice(list("ACGT"), 60)) for i in range(count)})


@pytest.fixture(scope="module")
def alone(inputs: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """One process, one thread, through the command line."""
    output = tmp_path_factory.mktemp("alone") / "out.zarr"
    options = ["--threads", "1", "--batch-size", "1", "--window", "20", "--no-verify", "--quiet"]
    command = [sys.executable, "-m", "fastism_compiler", "scan", inputs[0], str(inputs[1]), str(output), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return digests(output)


def test_two_processes_and_one_is_killed(inputs: tuple[str, Path], alone: dict[str, str], tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_one(done: int, total: int) -> None:
        if killed or not 0 < done < total:
            return
        workers = [p for p in psutil.Process().children() if "fastism_compiler.runs.workers" in p.cmdline()]
        assert len(workers) == 2
        killed.append(workers[0].pid)
        workers[0].kill()

    execution = fc.Execution(workers=2, threads=1, verify=False)
    summary = fc.scan(
        inputs[0], inputs[1], tmp_path / "out.zarr", settings=SETTINGS, execution=execution, progress=kill_one
    )
    assert killed
    assert (summary.complete, summary.computed) == (True, summary.tasks)
    assert digests(tmp_path / "out.zarr") == alone
    assert not [p for p in psutil.Process().children() if "fastism_compiler.runs.workers" in p.cmdline()]


def test_models_are_read_where_they_lie_now(inputs: tuple[str, Path], tmp_path: Path) -> None:
    """Not where they lay when the store was begun: all of an ensemble may have been moved since."""
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    models = [shutil.copy(inputs[0], before / f"fold{i}.keras") for i in range(2)]
    settings = replace(SETTINGS, also=(str(models[1]),))
    half = fc.Execution(shard=(1, 2), verify=False)
    fc.scan(models[0], inputs[1], tmp_path / "out.zarr", settings=settings, execution=half)
    before.rename(after)
    run = reopen(tmp_path / "out.zarr", [str(after / "fold0.keras"), str(after / "fold1.keras")])
    missing = sorted(set(run.tasks) - run.store.journal.finished())
    run.do(missing[0])
    assert run.store.journal.is_finished(missing[0])


def test_workers_that_keep_dying_end_the_run(
    inputs: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastism_compiler.runs import workers

    real = workers._start

    def start_dying(*args: Any) -> Any:
        worker = real(*args)
        worker.process.kill()
        return worker

    monkeypatch.setattr(workers, "_start", start_dying)
    with pytest.raises(fc.RunError, match="a worker stopped"):
        fc.scan(
            inputs[0],
            inputs[1],
            tmp_path / "out.zarr",
            settings=SETTINGS,
            execution=fc.Execution(workers=2, verify=False),
        )


def test_workers_end_with_their_parent(inputs: tuple[str, Path], tmp_path: Path) -> None:
    """A parent that is killed leaves no process behind, and its store can be gone on with at once."""
    command = [sys.executable, "-m", "fastism_compiler", "scan", inputs[0], str(inputs[1]), str(tmp_path / "out.zarr")]
    options = ["--workers", "2", "--threads", "1", "--batch-size", "1", "--window", "20", "--no-verify"]
    parent = subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    children: list[psutil.Process] = []
    deadline = time.monotonic() + 120
    while len(children) < 2 and time.monotonic() < deadline:
        children = [p for p in psutil.Process(parent.pid).children() if "fastism_compiler.runs.workers" in p.cmdline()]
        time.sleep(0.05)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert len(children) == 2
    assert not alive


def test_workers_leave_what_another_run_is_at(
    inputs: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fastism_compiler.runs import workers
    from fastism_compiler.runs.journal import Journal

    real = workers._start
    with ExitStack() as stack:

        def start(number: int, execution: Any, model: Any, store: Path) -> Any:
            if number == 0:
                assert stack.enter_context(Journal(store).claim(0))
            return real(number, execution, model, store)

        monkeypatch.setattr(workers, "_start", start)
        execution = fc.Execution(workers=2, threads=1, verify=False)
        summary = fc.scan(inputs[0], inputs[1], tmp_path / "out.zarr", settings=SETTINGS, execution=execution)
    assert (summary.complete, summary.computed) == (False, summary.tasks - 1)


def test_workers_stop_where_another_run_has_finished_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has taken the journal away, so no task is recorded there any more."""
    from fastism_compiler.runs import workers

    def start(*_: Any) -> Any:
        return workers._Worker(subprocess.Popen(["sleep", "60"], stdin=subprocess.PIPE), tempfile.TemporaryFile())

    monkeypatch.setattr(workers, "_start", start)
    journal = SimpleNamespace(finished=set)
    run: Any = SimpleNamespace(store=SimpleNamespace(path=tmp_path, complete=True, journal=journal))
    assert workers.work_on_processes(fc.Execution(workers=2), ["model.keras"], run, range(3)) == 3


def test_a_cluster_worker_takes_a_new_run_for_a_new_run(inputs: tuple[str, Path], tmp_path: Path) -> None:
    """At the same place, of the same input and model, with other settings: it must not go on with what it knows."""
    from distributed import Client, LocalCluster

    output, few = tmp_path / "out.zarr", write_records(tmp_path / "few.fa", 4)
    with LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        for score in ("delta", "log2fc"):
            settings = replace(SETTINGS, score=score, outputs=("chance",))
            with Client(cluster) as client:
                execution = fc.Execution(client=client, verify=False)
                fc.scan(inputs[0], few, output, settings=settings, execution=execution)
            alone = tmp_path / f"{score}.zarr"
            fc.scan(inputs[0], few, alone, settings=settings, execution=fc.Execution(verify=False))
            assert digests(output) == digests(alone)
            shutil.rmtree(output)


def test_a_dask_cluster_and_one_worker_is_killed(
    inputs: tuple[str, Path], alone: dict[str, str], tmp_path: Path
) -> None:
    from distributed import Client, LocalCluster

    killed: list[int] = []
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        lock = threading.Lock()

        def kill_one(done: int, total: int) -> None:
            with lock:
                if killed or not 0 < done < total:
                    return
                pid = next(iter(client.run(os.getpid).values()))
                killed.append(pid)
                os.kill(pid, signal.SIGKILL)

        execution = fc.Execution(client=client, threads=1, verify=False)
        summary = fc.scan(
            inputs[0], inputs[1], tmp_path / "out.zarr", settings=SETTINGS, execution=execution, progress=kill_one
        )
    assert killed
    assert summary.complete
    assert digests(tmp_path / "out.zarr") == alone


def test_a_scheduler_that_is_not_there(
    inputs: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dask

    with dask.config.set({"distributed.comm.timeouts.connect": "0.2s"}), pytest.raises(fc.RunError, match="reached"):
        fc.scan(
            inputs[0],
            inputs[1],
            tmp_path / "out.zarr",
            settings=SETTINGS,
            execution=fc.Execution(client="tcp://127.0.0.1:9", verify=False),
        )
