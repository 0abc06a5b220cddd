"""A scan that kills itself at a chosen event: python -m tests.runs.killed SOURCE MODEL OUTPUT EVENT

Events are what touches the disk: every write of the store, before it is
renamed into place; every fsync; and the removal of the journal. The numbers
come from a scorer without TensorFlow, so that dozens of runs are quick; what
is tested is the store. Prints the events and computed tasks of a run that is
not killed (EVENT 0).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import zarr.storage._local as local

import fastism_compiler as fc
from fastism_compiler.genomics.alphabet import ALPHABETS
from fastism_compiler.genomics.encoding import Encoding
from fastism_compiler.runs import run
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


def main(source: str, model: str, output: str, event: str) -> None:
    run.scorer_of = lambda *_: Scorer(Programs(), fc.ScanSettings())  # type: ignore[arg-type, assignment]
    events = Events(int(event))
    arm(events)
    summary = fc.scan(model, source, output, execution=fc.Execution(verify=False))
    print(json.dumps({"events": events.count, **summary.to_json()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
