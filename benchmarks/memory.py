"""Peak memory of a program: what XLA sets aside for it, in every lane, and the results outside.

The growth of resident memory in a second call, which `PeakResident` samples,
misses what TensorFlow keeps from the first (Basset: 9 MB of 59): so XLA is
asked instead, whose reports name every buffer of a compiled program.

python -m benchmarks.memory basset 8
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


def measure_child(model: str, sequences: int) -> int:
    """Compile and run the model in a fresh process that lets XLA report; bytes."""
    command = [sys.executable, "-m", "benchmarks.memory", model, str(sequences)]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "XLA_FLAGS": f"--xla_dump_to={folder}"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        reports = [path.read_text() for path in Path(folder).glob("*inference_run*memory-usage-report.txt")]
    lanes, results = map(int, done.stdout.split()[-2:])
    return lanes * max(map(reported_bytes, reports)) + results


def reported_bytes(report: str) -> int:
    """Bytes of a program's own buffers and results, from XLA's memory report; not its parameters."""
    found = re.findall(r"allocation (\d+): size ([\d.]+)(\w+), ([\w-]+)", report)
    sizes = {number: float(size) * _UNITS[unit] for number, size, unit, kind in found if kind not in _GIVEN}
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


def main(model: str, sequences: int) -> None:
    """Run the program; print how many lanes it has, and the bytes of its results."""
    import keras

    import fastism_compiler as fc
    from benchmarks.compare import CASES, inputs_for

    case = CASES[model]
    keras_model = getattr(fc.models, model)(**case.build)
    inputs = inputs_for(keras_model, sequences)
    x = inputs if len(inputs) > 1 else inputs[0]
    program = fc.compile(keras_model, batch_size=sequences, verify=False, **case.options)
    results = keras.tree.flatten(program(x))
    print(max(e.lanes for e in program.engines), sum(y.nbytes for y in results))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
