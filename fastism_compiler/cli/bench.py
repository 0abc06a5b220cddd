"""`fastism-compiler bench MODEL`: the program against the best naive run, on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import click
import numpy as np

import fastism_compiler as fc
from fastism_compiler.cli.model import ModelOptions, model_options

if TYPE_CHECKING:
    from fastism_compiler.runtime.naive import WholeScorer

_NAIVE_ROWS = (16, 64, 256)


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds per sequence of a saturation scan, and how they were measured.

    Attributes:
        naive_s: of naive ISM in its fastest setting.
        naive_setting: that setting: batch size, with or without XLA.
        ours_s: of the compiled program.
        speed_up: `naive_s / ours_s`.
        compile_s: seconds for compilation and the first call, in all.
        positions: how many are mutated.
    """

    naive_s: float
    naive_setting: str
    ours_s: float
    speed_up: float
    compile_s: float
    positions: int


@click.command()
@model_options
@click.option("--sequences", type=click.IntRange(1, 1 << 16), default=4, show_default=True, help="Sequences per call.")
@click.option("--repeats", type=click.IntRange(1, 1000), default=3, show_default=True, help="Calls that are timed.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def bench(model: ModelOptions, sequences: int, repeats: int, as_json: bool) -> None:
    """Time a saturation scan of random sequences: the compiled MODEL against the model itself.

    Naive ISM scores one batch of 16, 64 and 256 whole mutants, with and
    without XLA; the fastest setting counts, scaled to as many mutants as the
    scan has.

    Example: fastism-compiler bench model.keras --sequences 8
    """
    timing = measure(model, sequences, repeats)
    if as_json:
        click.echo(json.dumps(asdict(timing), indent=2))
        return
    click.echo(f"naive  {timing.naive_s:.4g} s per sequence ({timing.naive_setting})")
    click.echo(f"ours   {timing.ours_s:.4g} s per sequence ({timing.positions} positions)")
    click.echo(f"speed  {timing.speed_up:.1f} times; compiled in {timing.compile_s:.1f} s")


def measure(options: ModelOptions, sequences: int, repeats: int) -> Timing:
    """Time both sides in one process, on the same sequences.

    Raises:
        FastISMError: what `compile` refuses.
    """
    # TensorFlow is imported late: the command line starts without it
    from fastism_compiler.frontend.registry import describe_model
    from fastism_compiler.runtime.verification import random_inputs

    source = describe_model(options.source, options.reading)
    started = time.perf_counter()
    program = fc.compile(
        source.model,
        seq_input=options.seq_input,
        length=options.length,
        stop_at=options.stop_at,
        batch_size=sequences,
        verify=False,
    )
    arrays = random_inputs(program, sequences)
    x = program.inputs.pack(arrays)
    program.saturate(x)
    compile_s = time.perf_counter() - started
    ours = _seconds(lambda: program.saturate(x), repeats) / sequences
    mutants = program.ranges.count * (program.letters.count - 1)
    rows = {f"{'XLA' if jit else 'plain'}, batch {n}": (n, jit) for n in _NAIVE_ROWS for jit in (False, True)}
    naive = {name: _naive_seconds(source.origin.oracle(n, jit=jit), arrays, repeats) for name, (n, jit) in rows.items()}
    setting = min(naive, key=lambda name: naive[name])
    naive_s = naive[setting] * mutants
    return Timing(naive_s, setting, ours, naive_s / ours, compile_s, program.ranges.count)


def _naive_seconds(score: WholeScorer, arrays: list[Any], repeats: int) -> float:
    """Seconds per whole mutant, in full batches."""
    rows = [np.repeat(x[:1], score.rows, axis=0) for x in arrays]
    score(rows)
    return _seconds(lambda: score(rows), repeats) / score.rows


def _seconds(call: Callable[[], Any], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return float(np.median(times))
