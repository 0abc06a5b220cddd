"""Pairs of substitutions: every pair of positions within reach of each other, every letter at both, against naive ISM.

python -m benchmarks.pairs                            # Basset, 60 central positions, pairs within 40
python -m benchmarks.pairs --models deepstarr --positions 100 --within 20 --json out.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

import fastism_compiler as fc
from benchmarks.markdown import markdown
from benchmarks.naive import best_naive

NAIVE_ROWS = 256
"""Mutants that each naive setting scores; the time for all is extrapolated."""


@dataclass(frozen=True)
class Timing:
    """One model.

    Attributes:
        model: in `fc.models`.
        pairs: of positions; nine mutants each.
        naive_s: seconds of naive ISM in its best setting, for all mutants.
        naive_setting: that setting.
        ours_s: seconds of `program.pairs`, compiled.
        speed_up: naive_s / ours_s.
    """

    model: str
    pairs: int
    naive_s: float
    naive_setting: str
    ours_s: float
    speed_up: float


def measure(name: str, positions: int, within: int) -> Timing:
    """Time the pairs of the central positions of one random sequence."""
    model = getattr(fc.models, name)()
    length = model.input_shape[1]
    rng = np.random.default_rng(0)
    x = np.eye(4, dtype="float32")[rng.integers(0, 4, (1, length))]
    program = fc.compile(model, verify=False)
    begin = (length - positions) // 2
    chosen = range(begin, begin + positions)
    program.pairs(x, chosen, within)  # compiles
    started = time.perf_counter()
    pairs = len(program.pairs(x, chosen, within).positions)
    ours = time.perf_counter() - started
    per_row, setting = best_naive(model, [x], NAIVE_ROWS)
    mutants = pairs * (program.letters.count - 1) ** 2
    return Timing(name, pairs, per_row * mutants, setting, ours, per_row * mutants / ours)


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=["basset"])
    parser.add_argument("--positions", type=int, default=60)
    parser.add_argument("--within", type=int, default=40)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    timings = [measure(name, options.positions, options.within) for name in options.models]
    rows = [
        (t.model, str(t.pairs), f"{t.naive_s:.3g} ({t.naive_setting})", f"{t.ours_s:.3g}", f"{t.speed_up:.1f}x")
        for t in timings
    ]
    print(markdown("| model | pairs | naive ISM, s | program.pairs, s | speed-up |", rows))
    if options.json:
        options.json.write_text(json.dumps([asdict(t) for t in timings], indent=2) + "\n")


if __name__ == "__main__":
    main()
