"""Peak memory of a program: a child's second call, less what the child held before it.

python -m benchmarks.memory basset 8
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

_LARGE = 64 << 10
"""Bytes."""


def measure_child(model: str, sequences: int) -> int:
    """Run the measurement in a fresh process; bytes."""
    command = [sys.executable, "-m", "benchmarks.memory", model, str(sequences)]
    # the C library gives large blocks back when they are freed, so that the second call has to ask for them again
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(_LARGE), "MALLOC_TRIM_THRESHOLD_": str(_LARGE)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return int(done.stdout.split()[-1])


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
    """Print the growth in bytes of a second call."""
    import ctypes
    import gc

    import fastism_compiler as fc
    from benchmarks.compare import CASES, inputs_for

    case = CASES[model]
    keras_model = getattr(fc.models, model)(**case.build)
    inputs = inputs_for(keras_model, sequences)
    x = inputs if len(inputs) > 1 else inputs[0]
    program = fc.compile(keras_model, batch_size=sequences, verify=False, **case.options)
    program(x)
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)  # give back what the first call left in the allocator
    with PeakResident() as resident:
        result = program(x)
    del result
    print(resident.growth)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
