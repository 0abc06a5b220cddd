"""Peak memory of a program: tables, what XLA allocates for tiles in every lane, and the results on the host.

The growth of resident memory in a second call, which `PeakResident` samples,
misses what TensorFlow keeps from the first (Basset: 9 MB of 59). So memory is
taken from XLA's reports, which name every buffer of a compiled program.

python -m benchmarks.memory                     # every model of `benchmarks.compare` with a budget of 2 GiB
python -m benchmarks.memory --models basset --budget 100MiB
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True)
class Peak:
    """Memory of one model within a budget: sequences per block, and MB (10^6 bytes), planned and by XLA's report."""

    model: str
    budget: str
    block: int
    planned_mb: float
    measured_mb: float


def measure_child(model: str, sequences: int, budget: str | None = None) -> Peak:
    """Compile and run the model in a fresh process that lets XLA report."""
    command = [sys.executable, "-m", "benchmarks.memory", "--child", model, str(sequences), budget or ""]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XLA_FLAGS": f"--xla_dump_to={folder}"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        passes, loops = (
            [path.read_text() for path in Path(folder).glob(f"*inference_{part}_*memory-usage-report.txt")]
            for part in ("reference_pass", "tile_loop")
        )
    block, planned, lanes, results = map(int, done.stdout.split()[-4:])
    tables = max(reported_bytes(report, only="maybe-live-out") for report in passes)
    in_loops = tables + lanes * max(map(reported_bytes, loops))
    measured = max(in_loops, *map(reported_bytes, passes)) + results
    return Peak(model, budget or "none", block, planned / 1e6, measured / 1e6)


def reported_bytes(report: str, only: str | None = None) -> int:
    """Bytes of a program's own buffers and results, or of one kind, from XLA's memory report; not its parameters."""
    found = re.findall(r"allocation (\d+): size ([\d.]+)(\w+), ([\w-]+)", report)
    sizes = {
        number: float(size) * _UNITS[unit]
        for number, size, unit, kind in found
        if kind not in _GIVEN and only in (None, kind)
    }
    return round(sum(sizes.values()))


_GIVEN = ("parameter", "constant")


class PeakResident:
    """Samples this process's resident memory every few milliseconds while it is open."""

    def __enter__(self) -> PeakResident:
        self.before = self.peak = _resident()
        self._open = True
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._open = False
        self._thread.join()
        self.peak = max(self.peak, _resident())

    @property
    def growth(self) -> int:
        """Bytes above what was held on entry."""
        return self.peak - self.before

    def _sample(self) -> None:
        while self._open:
            self.peak = max(self.peak, _resident())
            time.sleep(0.002)


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as numbers:
        return int(numbers.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def run_child(model: str, sequences: int, budget: str) -> None:
    """Run the program; print sequences of a block, planned bytes, lanes, and the bytes of its results."""
    import keras

    import fastism_compiler as fc
    from benchmarks.compare import CASES, inputs_for

    case = CASES[model]
    keras_model = getattr(fc.models, model)(**case.build)
    inputs = inputs_for(keras_model, sequences)
    x = inputs if len(inputs) > 1 else inputs[0]
    program = fc.compile(keras_model, batch_size=sequences, verify=False, memory_budget=budget or None, **case.options)
    results = keras.tree.flatten(program(x))
    lanes = max(e.lanes for e in program.engines)
    print(program.batch_size, program.plan.bytes, lanes, sum(y.nbytes for y in results))


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    from benchmarks.compare import CASES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--budget", default="2GiB")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=3, metavar=("MODEL", "SEQUENCES", "BUDGET"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        model, sequences, budget = options.child
        run_child(model, int(sequences), budget)
        return
    rows = []
    for name in options.models:
        rows.append(measure_child(name, CASES[name].batch, options.budget))
        print(rows[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
