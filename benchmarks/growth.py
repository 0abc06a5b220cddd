"""How time and memory grow with length, ranges and sequences, streamed, against naive ISM; with pictures.

python -m benchmarks.growth --out benchmarks/results
python -m benchmarks.growth --lengths 500 1000 --batches 1 8 --models convolutions
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

LENGTHS = (500, 1000, 2000, 4000, 8000, 16000)
BATCHES = (1, 4, 16, 64, 256)
RANGES = (250, 1000, 4000, 16000)
"""Numbers of positions, spread evenly over the longest sequence."""
_NAIVE_ROWS = 64


@dataclass(frozen=True)
class Point:
    """One measurement: seconds of a streamed scan of all sequences, one zero mutation per range of one position.

    `naive_seconds` is extrapolated from 64 mutants to those of the scan; `peak_mb` is the growth of resident memory.
    """

    model: str
    length: int
    sequences: int
    ranges: int
    seconds: float
    naive_seconds: float
    peak_mb: float


def convolutions(length: int) -> Any:
    """Five convolutions, two pools and a global average: output and parameters do not grow with length."""
    import keras

    layers = keras.layers
    x = keras.Input((length, 4))
    h = layers.Conv1D(64, 11, padding="same", activation="relu")(x)
    h = layers.MaxPooling1D(4)(h)
    h = layers.Conv1D(64, 5, padding="same", activation="relu")(h)
    h = layers.MaxPooling1D(4)(h)
    for _ in range(3):
        h = layers.Conv1D(64, 3, padding="same", activation="relu")(h)
    return keras.Model(x, layers.Dense(8)(layers.GlobalAveragePooling1D()(h)), name="convolutions")


def profile(length: int) -> Any:
    """BPNet with 16 filters and 4 dilations: its profile grows with length, so it is summed on the device."""
    import fastism_compiler as fc

    return fc.models.bpnet(length=length, filters=16, dilated=4)


MODELS: dict[str, tuple[Callable[[int], Any], dict[str, Any]]] = {
    "convolutions": (convolutions, {}),
    "profile": (profile, {"reduce": lambda outputs: [_total(y) for y in _flat(outputs)]}),
}
"""Name -> builder by length, options of `compile`."""


def _flat(outputs: Any) -> list[Any]:
    import keras

    return list(keras.tree.flatten(outputs))


def _total(y: Any) -> Any:
    import keras

    return keras.ops.sum(y, axis=list(range(1, len(y.shape))))


def measure(name: str, length: int, sequences: int, ranges: int | None = None) -> Point:
    """One point; the stream is consumed block by block, nothing is kept. No `ranges`: every position."""
    import fastism_compiler as fc
    from benchmarks.memory import PeakResident
    from benchmarks.naive import best_naive
    from benchmarks.timing import seconds

    build, options = MODELS[name]
    model = build(length)
    rng = np.random.default_rng(0)
    x = np.eye(4, dtype=np.float32)[rng.integers(0, 4, (sequences, length))]
    positions = np.linspace(0, length - 1, min(ranges or length, length)).astype(int).tolist()
    program = fc.compile(
        model, ranges=[(p, p + 1) for p in positions], verify=False, batch_size=min(sequences, 8), **options
    )

    def scan(x: Any) -> None:
        for _ in program.stream(x):
            pass

    scan(x[: program.batch_size])
    with PeakResident() as resident:
        taken = seconds(lambda: scan(x), warm_up=0)
    naive = best_naive(model, [x[:1]], _NAIVE_ROWS)[0] * len(positions) * sequences
    return Point(name, length, sequences, len(positions), taken, naive, resident.growth / 1e6)


def slope(points: list[Point], what: Callable[[Point], float], over: Callable[[Point], float]) -> float:
    """The exponent of growth: 1 is linear, 2 quadratic."""
    return float(np.polyfit(np.log([over(p) for p in points]), np.log([what(p) for p in points]), 1)[0])


def draw(points: list[Point], over: str, path: Path) -> None:
    """Seconds per scan against length, ranges or sequences, ours and naive, on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    for k, name in enumerate(sorted({p.model for p in points})):
        mine = [p for p in points if p.model == name]
        at = [getattr(p, over) for p in mine]
        ax.plot(at, [p.seconds for p in mine], "o-", color=f"C{k}", label=f"{name}: compiled")
        ax.plot(at, [p.naive_seconds for p in mine], "s--", color=f"C{k}", alpha=0.6, label=f"{name}: naive")
    ax.set(xscale="log", yscale="log", xlabel=over, ylabel="seconds")
    ax.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=150)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--lengths", nargs="+", type=int, default=list(LENGTHS))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for growth.json and the pictures")
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    points: dict[str, list[Point]] = {"length": [], "ranges": [], "sequences": []}

    def take(over: str, *what: Any) -> None:
        points[over].append(measure(*what))
        print(points[over][-1], file=sys.stderr, flush=True)

    for name in options.models:
        for length in options.lengths:
            take("length", name, length, 1)
        for count in (n for n in RANGES if n <= options.lengths[-1]):
            take("ranges", name, options.lengths[-1], 1, count)
        for sequences in options.batches:
            take("sequences", name, options.lengths[0], sequences)
    for name in options.models:
        for over, all_points in points.items():
            mine = [p for p in all_points if p.model == name]
            ours, naive = (slope(mine, attrgetter(what), attrgetter(over)) for what in ("seconds", "naive_seconds"))
            print(f"{name}: time grows as {over}^{ours:.2f} (naive: {naive:.2f})")
    for over, found in points.items():
        draw(found, over, options.out / f"growth_{over}.png")
    content = {f"by_{over}": [asdict(p) for p in found] for over, found in points.items()}
    (options.out / "growth.json").write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
