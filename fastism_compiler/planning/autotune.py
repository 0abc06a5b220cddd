"""Autotuning: candidates timed on the machine at hand, once, and remembered in a file."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler._version import __version__
from fastism_compiler.emit.functions import traced
from fastism_compiler.emit.kernels.table import KERNELS
from fastism_compiler.emit.precision import arithmetic_of
from fastism_compiler.host import calibration
from fastism_compiler.host.calibration import least_seconds
from fastism_compiler.host.hardware import processor
from fastism_compiler.ir import Graph, TensorType, to_text
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.passes.base import Candidate
from fastism_compiler.passes.cost.machine import TWO_CORES, Machine
from fastism_compiler.runtime.engine import Engine

TILE_BYTES = (2 << 20, 4 << 20, 8 << 20, 16 << 20, 32 << 20, 64 << 20, 256 << 20, 1 << 30)
"""Sizes of the widest step of a tile that are tried."""
_SAMPLE_ROWS = 1024


def cache_folder() -> Path:
    """Where timings are kept: `FASTISM_COMPILER_CACHE`, else `fastism_compiler` in the user's cache folder."""
    chosen = os.environ.get("FASTISM_COMPILER_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fastism_compiler"


class Timings:
    """Seconds (or a rate) by key, in a JSON file that several processes may add to.

    Args:
        path: the file; made when first written. One that cannot be read is started anew.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def get(self, key: str, measure: Callable[[], float]) -> float:
        """The seconds kept under `key`, measured now if there are none."""
        with self._lock:
            known = self._read().get(key)
            if known is None:
                known = measure()
                self._write({**self._read(), key: known})
            return known

    def _read(self) -> dict[str, float]:
        try:
            content = json.loads(self.path.read_text())
            return {str(k): float(v) for k, v in content.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            return {}

    def _write(self, timings: dict[str, float]) -> None:
        """Replace the file in one step; a folder that cannot be written keeps nothing."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.path.parent) as folder:
                (whole := Path(folder) / "timings").write_text(json.dumps(timings, indent=1, sort_keys=True))
                os.replace(whole, self.path)
        except OSError:
            return


@dataclass(frozen=True)
class Tuner:
    """Times kernels and tile sizes; keys hold the device, the versions, the precision and the shapes.

    Attributes:
        jit: programs run through XLA.
        precision: of the products of deltas and weights.
        timings: where results are kept.
        target: what programs are planned for; its rates are measured anew.
    """

    jit: bool
    precision: str
    timings: Timings
    target: Machine = TWO_CORES

    def kernel_seconds(self, candidate: Candidate) -> float:
        """Seconds of one tile of a convolution; a `Context.measure`."""
        key = self._key("kernel", candidate.kernel, *astuple(candidate.shape))
        return self.timings.get(key, lambda: self._time_kernel(candidate))

    def machine(self) -> Machine:
        """The rates of the machine at hand, for the cost models."""

        def rate(name: str, measure: Callable[[], float]) -> float:
            return self.timings.get(self._key("machine", name), measure)

        return replace(
            self.target,
            multiply_adds=rate("multiply-adds", calibration.product_rate),
            bytes=rate("bytes", calibration.memory_rate),
            start=rate("start", calibration.start_seconds),
        )

    def fastest_tile_bytes(self, engine_for: Callable[[int], Engine], inputs: list[Any], most: int) -> int:
        """The tile size, up to `most` bytes, at which a scan takes the least time per row.

        Args:
            engine_for: makes the engine for a tile size.
            inputs: one block of sequences, flat.
            most: the largest size that memory allows.
        """
        sizes = [n for n in TILE_BYTES if n <= most] or [most]
        engines = {n: engine_for(n) for n in sizes}
        distinct = {e.tiling.rows(e.context.batch_size): n for n, e in engines.items()}
        if len(distinct) == 1:
            return max(sizes)

        def seconds(size: int) -> float:
            engine = engines[size]
            digest = hashlib.sha256(to_text(engine.graph).encode()).hexdigest()[:16]
            key = self._key("tile", digest, engine.tiling.rows(engine.context.batch_size), len(inputs[0]))
            return self.timings.get(key, lambda: _time_scan(engine, inputs))

        return min(distinct.values(), key=seconds)

    def _key(self, *what: Any) -> str:
        return " ".join(map(str, (processor(), tf.__version__, __version__, self.jit, self.precision, *what)))

    def _time_kernel(self, candidate: Candidate) -> float:
        kernel, c = KERNELS[candidate.kernel], candidate.shape
        graph = Graph()
        x = graph.add("input", type=TensorType((None, c.width, c.channels), "float32"))
        taps = graph.add("parameter", type=TensorType((c.taps, c.channels, c.filters), "float32"))
        reach = (c.taps - 1) * c.dilation
        attrs = {"stride": 1, "dilation": c.dilation, "groups": 1, "pad": (reach, reach)}
        node = graph.add("conv", [x, taps], attrs)
        arithmetic = arithmetic_of(self.precision, self.jit, cpu_only=self.target.cpu_only(self.jit))
        rng = np.random.default_rng(0)
        rows = tf.constant(rng.standard_normal((c.rows, c.width, c.channels)), tf.float32)
        weights = tf.constant(rng.standard_normal((c.taps, c.channels, c.filters)), tf.float32)
        arranged = kernel.prepare(node, weights, c.width)

        def apply(rows: Any, arranged: Any) -> Any:
            return kernel.apply(node, rows, arranged, arithmetic, lambda: tf.constant(0))

        run = traced(apply, self.jit)
        return least_seconds(lambda: run(rows, arranged).numpy())


def _time_scan(engine: Engine, inputs: list[Any]) -> float:
    """Seconds per row of a scan of zeros over some of the ranges."""
    batch = len(inputs[0])
    count = min(engine.ranges.count, max(_SAMPLE_ROWS // batch, 1))
    change = np.linspace(0, engine.ranges.count - 1, count).astype(np.int32)
    sequence, chosen = np.repeat(np.arange(batch, dtype=np.int32), count), np.tile(change, batch)
    shape = (len(chosen), engine.ranges.max_width, engine.letters.columns)
    jobs = Jobs(sequence, chosen, np.zeros(shape, engine.sequence_type.dtype))
    return least_seconds(lambda: engine.run(inputs, jobs, delta=False)) / len(chosen)
