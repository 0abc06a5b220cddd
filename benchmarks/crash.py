"""Runs that are killed, short of disk or shared: stores and converted files end bitwise equal to undisturbed ones.

python -m benchmarks.crash                      # 50 kills, about 10 minutes on two idle cores
python -m benchmarks.crash --kills 6 --seed 3

Every process is the command line itself, on a small model. A kill is a SIGKILL
at a random moment: of its start, of its tasks, of its last writes. A disk that
is full is a limit on the size of files (`ulimit -f`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import fastism_compiler as fc
from benchmarks.files import write_fasta
from fastism_compiler.runs.journal import Journal

LENGTH, SEQUENCES, BATCH = 40, 320, 2
FORMATS = {"tsv": "x.tsv", "hdf5": "x.h5", "bigwig": "x.bw", "modisco": "x.modisco", "bedgraph": "x.bedgraph"}
_POLL_S = 0.002


@dataclass
class Case:
    """One row of the table: how many runs were disturbed in one way, and how many results were as they should be."""

    name: str
    tries: int = 0
    equal: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, good: bool, what: str, tries: int = 1) -> None:
        """Count tries that ended alike."""
        self.tries += tries
        self.equal += tries * good
        self.wrong += [] if good else [what]


class Bench:
    """A model, its input, and what undisturbed runs make of them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.random = folder, random.Random(seed)
        self.whole = folder / "whole" / "scan.zarr"
        self.whole.parent.mkdir()
        _model().save(folder / "model.keras")
        write_fasta(folder / "in.fa", SEQUENCES, LENGTH)
        self.scan_s = self._timed(self.scan(self.whole))
        self.convert_s = {to: self._timed(self.convert(to, self.whole.parent)) for to in FORMATS}
        self.files = digests(self.whole.parent)
        self.tasks = len(json.loads((folder / "whole" / "scan.zarr.manifest.json").read_text())["tasks"])

    def scan(self, store: Path, *options: str) -> list[str]:
        """The command of the scan."""
        command = ["scan", self.folder / "model.keras", self.folder / "in.fa", store, "--batch-size", BATCH]
        return _command(*command, "--threads", 1, "--no-verify", *options)

    def convert(self, to: str, folder: Path) -> list[str]:
        """The command of a conversion of the undisturbed store."""
        return _command("convert", self.whole, folder / FORMATS[to], "--to", to, "--track", "head:1")

    def is_whole(self, folder: Path, name: str) -> bool:
        """Whether a folder holds this result, as undisturbed runs have made it, and nothing else."""
        mine = (name, f"{name}.manifest.json")
        return digests(folder) == {f: d for f, d in self.files.items() if f in mine or f.startswith(f"{name}/")}

    def ends_whole(self, command: list[str], folder: Path, name: str) -> bool:
        """Whether a command comes to its end, and a folder then holds this result."""
        return _run(command).returncode == 0 and self.is_whole(folder, name)

    def _timed(self, command: list[str]) -> float:
        started = time.perf_counter()
        done = _run(command)
        assert done.returncode == 0, done.stderr
        return time.perf_counter() - started


def kill_scans(bench: Bench, kills: int) -> Case:
    """One store after the other, killed again and again until it is complete."""
    case, count = Case("scan killed"), 0
    while count < kills:
        folder = bench.folder / f"killed{count}"
        store, killed = folder / "scan.zarr", 0
        while count < kills and killed < 5:
            process = _start(bench.scan(store))
            _kill_at(process, _moment_of_scan(bench, store), bench.random.uniform(0, 0.03))
            if process.returncode == 0:  # it ended before the kill
                break
            count, killed = count + 1, killed + 1
        case.add(bench.ends_whole(bench.scan(store), folder, "scan.zarr"), store.name, killed)
        shutil.rmtree(folder)
    return case


def _moment_of_scan(bench: Bench, store: Path) -> Callable[[], bool]:
    """At any time, or a little after some of the tasks that are left are finished."""
    if bench.random.random() < 0.4:
        return _after(bench.random.uniform(0, bench.scan_s))
    done = len(Journal(store).finished())
    wanted = bench.random.randint(min(done + 1, bench.tasks), bench.tasks)
    return lambda: len(Journal(store).finished()) >= wanted


def kill_conversions(bench: Bench, kills: int) -> Case:
    """A kill, then the same conversion again; half of them, at random, replace an older file."""
    case, count = Case("convert killed"), 0
    while count < kills:
        to = bench.random.choice(list(FORMATS))
        folder = bench.folder / "converted"
        folder.mkdir()
        if bench.random.random() < 0.5:
            _run(bench.convert(to, folder))
        process = _start(bench.convert(to, folder))
        if bench.random.random() < 0.3:
            _kill_at(process, _after(bench.random.uniform(0.3, 1) * bench.convert_s[to]))
        else:  # a little after it has begun to write
            _kill_at(process, lambda folder=folder: any(folder.glob(".*.partial")), bench.random.uniform(0, 0.2))
        if process.returncode != 0:
            count += 1
            case.add(bench.ends_whole(bench.convert(to, folder), folder, FORMATS[to]), to)
        shutil.rmtree(folder)
    return case


def fill_disks(bench: Bench) -> Case:
    """With a limit on file size, a command fails with a message and leaves no partial file; run again, it succeeds.

    A scan first copies the model, whose chunks of results are larger: the first limit is too small for either.
    """
    case, folder = Case("disk full"), bench.folder / "full"
    model_kib = (bench.folder / "model.keras").stat().st_size // 1024
    commands = [(name, 1, bench.convert(to, folder)) for to, name in FORMATS.items()]
    commands += [("scan.zarr", model_kib + more, bench.scan(folder / "scan.zarr")) for more in (1 - model_kib, 1, 2, 4)]
    for name, kib, command in commands:
        limited = _run(["bash", "-c", f'ulimit -f {kib}; exec "$@"', "-", *command])
        told = limited.returncode in (1, 2) and "Error: " in limited.stderr and "Traceback" not in limited.stderr
        nothing = name == "scan.zarr" or not digests(folder)
        good = [told, nothing, bench.ends_whole(command, folder, name)]
        case.add(all(good), f"{name}: {good} {limited.stderr}")
        shutil.rmtree(folder, ignore_errors=True)
    return case


def share(bench: Bench) -> Case:
    """Three processes at once on one store, one of them killed; then one more run completes it."""
    case, folder = Case("three processes, one killed"), bench.folder / "shared"
    store = folder / "scan.zarr"
    processes = [_start(bench.scan(store, "--join")) for _ in range(3)]
    _kill_at(processes[0], lambda: len(Journal(store).finished()) >= 3)
    codes = [process.wait() for process in processes[1:]]
    good = bench.ends_whole(bench.scan(store, "--join"), folder, "scan.zarr")
    case.add(good and codes == [0, 0], f"exit codes {codes}")
    return case


def call_from_threads(bench: Bench) -> Case:
    """One program, called by eight threads: each gets the bits that one caller gets."""
    case = Case("eight threads")
    program = fc.compile(str(bench.folder / "model.keras"), batch_size=BATCH, verify=False)
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(1).integers(0, 4, (8, BATCH, LENGTH))]
    alone = [program.saturate(part)[0].tobytes() for part in x]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda part: program.saturate(part)[0].tobytes(), [*x, *x]))
    for ours, theirs in zip(together, [*alone, *alone], strict=True):
        case.add(ours == theirs, "other bits")
    return case


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, by its path."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _model() -> Any:
    import keras

    keras.utils.set_random_seed(5)
    x = keras.Input((LENGTH, 4))
    y = keras.layers.Conv1D(8, 7, activation="relu", padding="same")(x)
    y = keras.layers.GlobalAveragePooling1D()(keras.layers.MaxPooling1D(2)(y))
    return keras.Model(x, [keras.layers.Dense(12, name="head")(y), keras.layers.Dense(1, name="chance")(y)])


def _command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "fastism_compiler", *map(str, arguments)]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _start(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _after(seconds: float) -> Callable[[], bool]:
    end = time.perf_counter() + seconds
    return lambda: time.perf_counter() >= end


def _kill_at(process: subprocess.Popen[bytes], moment: Callable[[], bool], later_s: float = 0) -> None:
    while process.poll() is None and not moment():
        time.sleep(_POLL_S)
    time.sleep(later_s)
    process.send_signal(signal.SIGKILL)
    process.wait()


def main() -> None:
    """Print the table, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.seed)
        cases = [
            kill_scans(bench, options.kills - options.kills // 2),
            kill_conversions(bench, options.kills // 2),
            fill_disks(bench),
            share(bench),
            call_from_threads(bench),
        ]
    print(f"{'case':30} {'tries':>6} {'equal':>6}")
    for case in cases:
        print(f"{case.name:30} {case.tries:6} {case.equal:6}  {', '.join(sorted(set(case.wrong)))}")
    if options.json:
        rows = [{"case": c.name, "tries": c.tries, "bitwise equal": c.equal} for c in cases]
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    sys.exit(any(case.wrong for case in cases))


if __name__ == "__main__":
    main()
