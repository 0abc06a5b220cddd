"""Side by side, in one run: best naive ISM, the compiled program, and the floors.

python -m benchmarks.compare                      # the table of docs/speed.md
python -m benchmarks.compare --models basset --batch 1 8 --json out.json
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.markdown import markdown
from benchmarks.timing import seconds


@dataclass(frozen=True)
class Case:
    """A published model, as it is timed.

    Attributes:
        batch: sequences per call.
        naive_rows: mutants that each naive setting scores, at most as many as a call has.
        build: arguments of the model.
        options: arguments of `compile`.
    """

    batch: int = 8
    naive_rows: int = 256
    build: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


CASES = {
    "basset": Case(),
    "factorized_basset": Case(),
    "bpnet": Case(),
    "bpnet_control_tracks": Case(),
    "beluga": Case(4, 64),
    "deepstarr": Case(),
    "danq": Case(naive_rows=128),
    "scbasset": Case(naive_rows=128),
    "optimus_5prime": Case(),
    # one residual block a group instead of four; the outputs around one site
    "spliceai": Case(4, 64, {"length": 2400, "blocks": 1, "crop": 1000}, {"outputs": {0: slice(150, 250)}}),
    "dilated_cnn": Case(1, 16),
    "chrombpnet": Case(1, 16),
}
"""Models of the table; ChromBPNet and the dilated CNN at their full width of 512."""


@dataclass(frozen=True)
class Result:
    """One row of the table; times are seconds per sequence of one zero mutation per position.

    `compile_s` is `compile` and the first call, less what a later call takes.
    """

    model: str
    batch: int
    naive_s: float
    naive_setting: str
    ours_s: float
    floor_s: float
    shape_floor_s: float
    speed_up: float
    predicted: float
    over_floor: float
    over_shape_floor: float
    predicted_mb: float
    measured_mb: float | None
    compile_s: float
    error: float


_LONG = 20.0
"""Seconds; calls that take longer are timed once before and once after the naive run."""


def inputs_for(model: Any, sequences: int, seed: int = 0) -> list[np.ndarray[Any, Any]]:
    """Random one-hot sequences, and random numbers for every other input."""
    rng = np.random.default_rng(seed)
    first, *rest = model.inputs
    length, channels = first.shape[1:]
    x = np.eye(channels, dtype=np.float32)[rng.integers(0, channels, (sequences, length))]
    return [x, *[rng.random((sequences, *i.shape[1:])).astype(np.float32) for i in rest]]


def run_case(name: str, sequences: int, with_memory: bool) -> Result:
    """Measure one model at one batch size."""
    import time

    import fastism_compiler as fc
    from benchmarks.floor import floor_seconds, shape_floor_seconds
    from benchmarks.memory import measure_child
    from benchmarks.naive import best_naive

    case = CASES[name]
    model = getattr(fc.models, name)(**case.build)
    inputs = inputs_for(model, sequences)
    x = inputs if len(inputs) > 1 else inputs[0]
    started = time.perf_counter()
    program = fc.compile(model, batch_size=sequences, verify=False, **case.options)
    program(x)
    first_s = time.perf_counter() - started
    ours = seconds(lambda: program(x), repeats=1, warm_up=0) / sequences
    repeats = 3 if ours * sequences < _LONG else 0
    ours = seconds(lambda: program(x), repeats=repeats, warm_up=0) / sequences if repeats else ours
    naive_row, setting = best_naive(model, inputs, min(case.naive_rows, sequences * program.ranges.count))
    ours = min(ours, seconds(lambda: program(x), repeats=2 if repeats else 1, warm_up=0) / sequences)
    naive = naive_row * program.ranges.count
    floor, shape_floor = floor_seconds(program), shape_floor_seconds(program)
    return Result(
        model=name,
        batch=sequences,
        naive_s=naive,
        naive_setting=setting,
        ours_s=ours,
        floor_s=floor,
        shape_floor_s=shape_floor,
        speed_up=naive / ours,
        predicted=program.plan.speed_up,
        over_floor=ours / floor,
        over_shape_floor=ours / shape_floor,
        predicted_mb=program.plan.bytes / 1e6,
        measured_mb=measure_child(name, sequences).measured_mb if with_memory else None,
        compile_s=max(first_s - ours * sequences, 0.0),
        error=relative_error(program, x),
    )


def relative_error(program: Any, x: Any, ranges: int = 8) -> float:
    """Largest difference from naive ISM at a few positions, relative to the largest value of the same output."""
    report, references = program.verify(x, ranges=ranges), keras.tree.flatten(program.reference(x))
    return max(o.max_error / float(np.abs(y).max()) for o, y in zip(report.outputs, references, strict=True))


def table(results: list[Result]) -> str:
    """The results as a Markdown table."""
    head = (
        "| model | batch | best naive s/seq | ours s/seq | speed-up (plan) | floor s/seq | ours/floor "
        "| shape floor s/seq | ours/shape floor | memory plan / measured MB | compile s | max error / max abs. value |"
    )
    rows = [
        (
            r.model,
            r.batch,
            f"{r.naive_s:.3g} ({r.naive_setting})",
            f"{r.ours_s:.3g}",
            f"{r.speed_up:.1f}x ({r.predicted:.1f}x)",
            f"{r.floor_s:.3g}",
            f"{r.over_floor:.2f}",
            f"{r.shape_floor_s:.3g}",
            f"{r.over_shape_floor:.2f}",
            f"{r.predicted_mb:.0f} / {'-' if r.measured_mb is None else f'{r.measured_mb:.0f}'}",
            f"{r.compile_s:.1f}",
            f"{r.error:.1e}",
        )
        for r in results
    ]
    return markdown(head, rows)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--batch", nargs="+", type=int, help="sequences (default: 8, large models fewer)")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--no-memory", action="store_true", help="leave out the child process that measures memory")
    options = parser.parse_args(arguments)
    results = []
    for name in options.models:
        for batch in options.batch or [CASES[name].batch]:
            print(f"{name}, batch {batch} ...", file=sys.stderr, flush=True)
            results.append(run_case(name, batch, not options.no_memory))
            print(table(results[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in results], indent=2) + "\n")


if __name__ == "__main__":
    main()
