"""Linear chains: the first layers of Sei, with and without `compose-convolutions`, in turn in one process.

Sei has pairs of linear convolutions, each beside a nonlinear pair that reads it and is added to it; between them pools
of four. Both programs are the default pipeline's, the one without the pass. Processor time is that of all threads:
where a machine has other work, it says more than the wall clock.

python -m benchmarks.chains
python -m benchmarks.chains --filters 96 128 --length 1024 --batch 1 --json out.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

_ROUNDS = 3


@dataclass(frozen=True)
class Chain:
    """One model and batch; seconds per scan of the batch, one zero mutation per position, with the pass and without.

    `predicted` and `measured` are how many times as fast the pass makes it, in wall time; `cpu` in processor time.
    """

    filters: str
    length: int
    batch: int
    composed: int
    ranges: str
    seconds: float
    seconds_without: float
    predicted: float
    measured: float
    cpu: float


def front(length: int, filters: Sequence[int]) -> Any:
    """The first layers of Sei, one level per entry of `filters`; then a maximum over positions and a Dense."""
    import keras

    from fastism_compiler.models.randomize import randomize

    layers = keras.layers
    x = inputs = layers.Input((length, 4))
    for level, width in enumerate(filters):
        if level:
            x = layers.Dropout(0.2)(layers.MaxPooling1D(4)(x))
        linear = x = _pair(x, width, None)
        x = layers.Add()([_pair(x, width, "relu"), linear])
    return randomize(keras.Model(inputs, layers.Dense(8, activation="sigmoid")(layers.GlobalMaxPooling1D()(x))))


def _pair(x: Any, filters: int, activation: str | None) -> Any:
    import keras

    for _ in range(2):
        x = keras.layers.Conv1D(filters, 9, padding="same", activation=activation)(x)
    return x


def measure(length: int, filters: Sequence[int], batch: int, rounds: int = _ROUNDS) -> Chain:
    """Compile both programs, and time them in turn; the best round of each counts."""
    import fastism_compiler as fc

    model, passes = front(length, filters), fc.default_pipeline()
    x = np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 4, (batch, length))]
    programs = [
        fc.compile(model, batch_size=batch, verify=False, pipeline=p)
        for p in (passes, passes.remove("compose-convolutions"))
    ]
    results = [np.asarray(program(x)) for program in programs]  # also the warm-up: XLA compiles
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)
    taken = [[_timed(program, x) for program in programs] for _ in range(rounds)]
    (wall, cpu), (wall_without, cpu_without) = np.min(taken, axis=0)
    one, two = (program.plan for program in programs)
    return Chain(
        filters=" ".join(map(str, filters)),
        length=length,
        batch=batch,
        composed=len(one.composed),
        ranges=one.composed[0][1] if one.composed else "none",
        seconds=float(wall),
        seconds_without=float(wall_without),
        predicted=one.speed_up / two.speed_up,
        measured=float(wall_without / wall),
        cpu=float(cpu_without / cpu),
    )


def _timed(program: Any, x: Any) -> tuple[float, float]:
    """Seconds on the wall, and of all processors."""
    wall, cpu = time.perf_counter(), time.process_time()
    program(x)
    return time.perf_counter() - wall, time.process_time() - cpu


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filters", nargs="+", type=int, default=[192], help="filters of each level")
    parser.add_argument("--length", type=int, default=4096)
    parser.add_argument("--batch", nargs="+", type=int, default=[1, 8])
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    parser.add_argument("--json", type=Path, help="added to, where the file exists")
    options = parser.parse_args(arguments)
    found = []
    for batch in options.batch:
        found.append(measure(options.length, options.filters, batch, options.rounds))
        print(json.dumps(asdict(found[-1])), flush=True)
    if options.json:
        before = json.loads(options.json.read_text()) if options.json.exists() else []
        options.json.write_text(json.dumps(before + [asdict(c) for c in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
