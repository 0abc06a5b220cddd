"""Long models at full size: one sequence, each of some central positions zeroed, against the model itself.

Each model runs in a process of its own, whose resident memory is sampled. The
model itself scores a few mutants, in the best of its settings, and the time
for all of them is extrapolated: naive ISM of these models takes up to an hour.
`spliceai_gene` returns what is within 50 of each change, against a pair of
windows, reference and alternate, for each mutant, as SpliceAI is used.

python -m benchmarks.long                               # the table; some 40 minutes on two cores
python -m benchmarks.long --models enformer --json out.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.markdown import markdown
from benchmarks.memory import PeakResident


@dataclass(frozen=True)
class Case:
    """A long model.

    Attributes:
        model: its name in `fastism_compiler.models`.
        build: its arguments.
        positions: change ranges, one central position each.
        naive_batches: whole mutants per call of the model itself that are tried.
        reach: positions of the output around the change; None: all.
        pair: length of the window that the model itself scores twice per mutant, as reference and as alternate;
            None: it scores mutants of the whole sequence.
    """

    model: str
    build: dict[str, Any] = field(default_factory=dict)
    positions: int = 100
    naive_batches: tuple[int, ...] = (1,)
    reach: int | None = None
    pair: int | None = None


CASES = {
    "enformer": Case("enformer"),
    "borzoi": Case("borzoi"),
    "basenji2": Case("basenji2", naive_batches=(1, 4)),
    "spliceai": Case("spliceai", {"length": 10_101, "crop": 5000}, 101, (1, 8, 32)),
    "spliceai_gene": Case("spliceai", {"length": 15_000, "crop": 5000}, 101, (1, 8, 32), reach=50, pair=10_101),
    "promoterai": Case("promoterai"),
}
_LONG = 60.0
"""Seconds; a call that takes longer is not repeated."""


@dataclass(frozen=True)
class Result:
    """One row of the table; seconds are for all positions of one sequence, and GiB besides what the model takes."""

    model: str
    length: int
    positions: int
    naive_s: float
    naive_setting: str
    ours_s: float
    speed_up: float
    predicted: float
    compile_s: float
    planned_gib: float
    measured_gib: float
    error: float


def run_case(name: str, positions: int | None = None) -> Result:
    """Measure one model in this process."""
    import fastism_compiler as fc
    from benchmarks.compare import relative_error

    case = CASES[name]
    model = getattr(fc.models, case.model)(**case.build)
    length, count = model.input_shape[1], positions or case.positions
    first = (length - count) // 2
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (1, length))]
    ranges = [(p, p + 1) for p in range(first, first + count)]
    options: dict[str, Any] = {} if case.reach is None else {"outputs": {0: fc.around(case.reach)}}
    with PeakResident() as memory:
        compile_s, program = _timed(lambda: fc.compile(model, ranges=ranges, batch_size=1, verify=False, **options))
        first_s = _timed(lambda: program(x))[0]
    ours = first_s if first_s > _LONG else min(_timed(lambda: program(x))[0] for _ in range(3))
    if case.pair is None:
        naive, setting = _best_naive(model, x, first, case.naive_batches)
    else:
        other = getattr(fc.models, case.model)(**{**case.build, "length": case.pair})
        naive, setting = _best_naive(other, x[:, : case.pair], case.pair // 2 - 50, case.naive_batches)
        naive, setting = 2 * naive, f"pairs of {case.pair:,} letters, {setting}"
    return Result(
        model=name,
        length=length,
        positions=count,
        naive_s=naive * count,
        naive_setting=setting,
        ours_s=ours,
        speed_up=naive * count / ours,
        predicted=program.plan.speed_up,
        compile_s=compile_s,
        planned_gib=program.plan.bytes / 2**30,
        measured_gib=memory.growth / 2**30,
        error=relative_error(program, x, ranges=2),
    )


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def _best_naive(model: Any, x: np.ndarray[Any, Any], first: int, batches: tuple[int, ...]) -> tuple[float, str]:
    """Seconds per mutant, and the setting that took them; every setting is warmed up, and timed twice."""
    import tensorflow as tf

    found = {}
    for jit in (False, True):
        score = tf.function(lambda rows: model(rows, training=False), jit_compile=jit, autograph=False)
        for batch in batches:
            mutants = np.repeat(x, batch, axis=0)
            mutants[np.arange(batch), first + np.arange(batch)] = 0
            rows = tf.constant(mutants)
            times = [_timed(lambda score=score, rows=rows: tf.nest.map_structure(np.asarray, score(rows)))[0] / batch
                     for _ in range(3)]  # fmt: skip
            found[f"{'XLA' if jit else 'plain'}, batch {batch}"] = min(times[1:])
    setting = min(found, key=lambda k: found[k])
    return found[setting], setting


def table(results: list[Result]) -> str:
    """The results as a Markdown table."""
    head = (
        "| model | letters | positions | the model itself, s | ours, s | speed-up (plan) | compile, s "
        "| memory plan / measured, GiB | max error / max abs. value |"
    )
    rows = [
        (
            r.model,
            f"{r.length:,}",
            r.positions,
            f"{r.naive_s:.3g} ({r.naive_setting})",
            f"{r.ours_s:.3g}",
            f"{r.speed_up:.1f}x ({r.predicted:.1f}x)",
            f"{r.compile_s:.1f}",
            f"{r.planned_gib:.1f} / {r.measured_gib:.1f}",
            f"{r.error:.1e}",
        )
        for r in results
    ]
    return markdown(head, rows)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--positions", type=int, help="change ranges (default: those of the table)")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(asdict(run_case(options.child, options.positions))))
        return
    results = []
    for name in options.models:
        print(f"{name} ...", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "benchmarks.long", "--child", name]
        command += ["--positions", str(options.positions)] if options.positions else []
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        results.append(Result(**json.loads(done.stdout.splitlines()[-1])))
        print(table(results[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
        if options.json:
            options.json.write_text(json.dumps([asdict(r) for r in results], indent=2) + "\n")
    print(table(results))


if __name__ == "__main__":
    main()
