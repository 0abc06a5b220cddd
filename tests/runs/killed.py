"""A scan that kills itself at a chosen event, in a process of its own.

Events are what touches the disk: every write of the store, before it is
renamed into place; every fsync; and the removal of the journal. The numbers
come from a scorer without TensorFlow, so that dozens of runs are quick; what
is tested is the store. A run that is not killed (event 0) writes its events
and computed tasks into a file. Processes are forked from one that has imported
TensorFlow, which takes seconds, and does nothing else.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import zarr.storage._local as local

import fastism_compiler as fc
from fastism_compiler.genomics.alphabet import ALPHABETS
from fastism_compiler.genomics.encoding import Encoding
from fastism_compiler.runs import run as runs
from fastism_compiler.runs.blocks import Scored
from fastism_compiler.runs.outputs import Output
from fastism_compiler.runs.scan_scores import ScanScorer


class Programs:
    """Stands for the compiled programs."""

    block, rescored = 2, 0
    encoding = Encoding(ALPHABETS["dna"], 20, (0, 1, 2, 3))
    settings = fc.ScanSettings()

    def __init__(self) -> None:
        self.other_inputs: dict[str, Any] = {}
        self.shapes = {"head": (3,)}
        self.outputs = [Output(0, "head")]
        self.numbers: dict[str, Any] = {}
        self.digest = {"name": "model.keras", "sha256": "0"}

    def block_for(self, rows: int) -> int:
        return self.block


class Scorer(ScanScorer):
    """Scores that depend on the letters alone."""

    def __call__(self, rows: Any) -> Scored:
        codes = rows["sequence"].astype(np.float32)
        scores = np.sin(codes[:, :, None, None] + np.arange(4)[:, None] + np.arange(3)).astype(np.float32)
        return Scored({"scores/head": scores, "reference/head": codes[:, :3]}, {"unscored": 0})


class Events:
    """Counts events, and dies at one of them."""

    def __init__(self, last: int) -> None:
        self.count, self.last = 0, last

    def __call__(self) -> bool:
        self.count += 1
        return self.count == self.last


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def arm(events: Events) -> None:
    put, fsync, rmtree = local._put, os.fsync, shutil.rmtree

    def dying_put(path: Path, value: Any, exclusive: bool = False) -> int:
        if events():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.with_suffix(".dead.partial").write_bytes(bytes(value.as_buffer_like())[:7])
            die()
        return put(path, value, exclusive)

    def dying_fsync(descriptor: int) -> None:
        if events():
            die()
        fsync(descriptor)

    def dying_rmtree(path: Path, **options: Any) -> None:
        if events():
            for entry in sorted(Path(path).rglob("*.json"))[::2]:
                entry.unlink()
            die()
        rmtree(path, **options)

    local._put, os.fsync, shutil.rmtree = dying_put, dying_fsync, dying_rmtree


def scan(source: Path, model: str, output: Path, event: int, told: Path) -> None:
    runs.scorer_of = lambda *_: Scorer(Programs(), fc.ScanSettings())  # type: ignore[arg-type, assignment]
    events = Events(event)
    arm(events)
    summary = fc.scan(model, source, output, execution=fc.Execution(verify=False))
    told.write_text(json.dumps({"events": events.count, **summary.to_json()}))


def run(source: Path, model: str, output: Path, event: int) -> tuple[int, dict[str, Any]]:
    """A scan in another process: its exit code, and what it told (nothing if it was killed)."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    told = output.with_suffix(".told.json")
    process = context.Process(target=scan, args=(source, model, output, event, told))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode, json.loads(told.read_text()) if told.exists() else {}
