"""The differential fuzzer: random models, compiled, against naive ISM in float64.

python -m benchmarks.fuzz --models 10000 --jobs 2     # prints a summary; a failure is shrunk to one file
python -m benchmarks.fuzz --faults --models 500       # inject faults: each must be caught
python -m benchmarks.fuzz --grid                      # every small convolution and pool, in exact integers
"""

from __future__ import annotations

import argparse
import inspect
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, assume, given, seed, settings

from benchmarks import fuzz_layers
from benchmarks.fuzz_checks import check_case
from benchmarks.fuzz_specs import MODES, cases

CHUNK = 250
"""Models per process: TensorFlow keeps memory of every model it has seen."""


class Found(AssertionError):  # noqa: N818 (what a fuzzer does)
    """A failing case, shrunk; the original error is its cause."""

    def __init__(self, case: dict[str, Any], error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}\n{json.dumps(case)}")
        self.case, self.error = case, error

    def __reduce__(self) -> Any:
        """How it travels between processes."""
        return Found, (self.case, RuntimeError(f"{type(self.error).__name__}: {self.error}"))


def run(models: int, first: int, *, shrink: bool = True, modes: Sequence[str] = MODES) -> Counter[str]:
    """Check `models` random models, each in one of `modes`; counts by outcome and by mode.

    Raises:
        Found: the smallest failing case.
    """
    outcomes: Counter[str] = Counter()
    failing: list[tuple[dict[str, Any], Exception]] = []
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)

    @seed(first)
    @settings(max_examples=models, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck))
    @given(cases(modes))
    def check(case: dict[str, Any]) -> None:
        try:
            checked = check_case(case)
        except Exception as error:
            failing.append((case, error))
            raise
        outcomes[checked.outcome] += 1
        assume(checked.outcome != "invalid")
        outcomes[f"mode {case['mode']}"] += 1
        outcomes["multiply-adds"] += checked.multiply_adds
        outcomes["multiply-adds in windows"] += checked.in_windows

    try:
        check()
    except BaseException as error:
        if not failing:
            raise
        raise Found(*failing[-1]) from error
    return outcomes


def standalone(case: dict[str, Any]) -> str:
    """A Python file that shows a failing case with nothing but Keras and the compiler."""
    return f"""{inspect.getsource(fuzz_layers)}

CASE = {case!r}

if __name__ == "__main__":
    import numpy as np

    import fastism_compiler as fc
    from fastism_compiler.models.randomize import randomize
    from fastism_compiler.passes.compose_convolutions import ComposeConvolutionsPass

    model, rng = randomize(build(CASE["spec"])), np.random.default_rng(0)
    x = {{t.name: rng.random((2, *t.shape[1:])).astype(t.dtype) for t in model.inputs}}
    if len(model.inputs[0].shape) == 3:
        x["seq"] = np.eye(CHANNELS, dtype="float32")[rng.integers(0, CHANNELS, x["seq"].shape[:2])]
    nest = (lambda d: d) if len(x) > 1 else (lambda d: d["seq"])
    passes = fc.default_pipeline().remove("choose-program")  # never left to Keras, however small
    passes = passes.replace("compose-convolutions", ComposeConvolutionsPass(least_gain=-np.inf))
    options = {{"jit": CASE["mode"] == "jitted", "verify": False, "pipeline": passes}}
    channels = CASE.get("channels")
    options |= {{"channels": channels, "alphabet": "ACGT"[: len(channels)]}} if channels else {{}}
    program = fc.compile(model, "seq" if len(x) > 1 else 0, CASE["ranges"], **options)
    ours = keras.tree.flatten(program(nest(x)))
    for r, (lo, hi) in enumerate(CASE["ranges"]):
        mutant = {{**x, "seq": x["seq"].copy()}}
        mutant["seq"][:, lo:hi][(..., channels) if channels else ...] = 0
        for y, z in zip(ours, keras.tree.flatten(model(nest(mutant))), strict=True):
            print(f"range {{lo}}-{{hi}}: largest difference {{np.abs(y[:, r] - np.asarray(z)).max():.3e}}")
"""


def _chunks(models: int, first: int) -> Iterator[tuple[int, int]]:
    """`(models, seed)` of each chunk."""
    for number, begin in enumerate(range(0, models, CHUNK)):
        yield min(CHUNK, models - begin), first + number


def run_in_processes(models: int, first: int, jobs: int) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Check many models in fresh processes; counts, and the smallest failing case of every chunk that failed."""
    outcomes: Counter[str] = Counter()
    failures = []
    with _fresh_processes(jobs) as pool:
        futures = [pool.submit(_chunk, *chunk) for chunk in _chunks(models, first)]
        for done, future in enumerate(as_completed(futures), 1):
            counts, failure = future.result()
            outcomes.update(counts)
            if failure is not None:
                failures.append(failure)
                print(f"FAILED: {json.dumps(failure)}", flush=True)
            print(f"{done} of {len(futures)} chunks, {len(failures)} failures", flush=True)
    return outcomes, failures


def _fresh_processes(jobs: int) -> ProcessPoolExecutor:
    """So many at once, a new one for each task: XLA never gives back the memory of what it compiled."""
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1)


def _chunk(models: int, first: int) -> tuple[Counter[str], dict[str, Any] | None]:
    try:
        return run(models, first), None
    except Found as found:
        return Counter(), {"seed": first, "case": found.case, "error": str(found)}


def check_faults(models: int, first: int, jobs: int) -> dict[str, bool]:
    """Which of the injected faults a run of `models` models notices, each in a fresh process.

    The same models run without a fault first, so that any later failure, a
    crash included, is due to the fault.
    """
    from benchmarks.faults import FAULTS, MODES_OF

    caught = {}
    with ThreadPoolExecutor(jobs) as threads:
        every = {MODES, *MODES_OF.values()}
        runs = [partial(run, models, first, shrink=False, modes=modes) for modes in every]
        for task in [threads.submit(_in_fresh_process, plain) for plain in runs]:
            task.result()
        tasks = {name: threads.submit(_in_fresh_process, _is_caught, name, models, first) for name in FAULTS}
        for name, task in tasks.items():
            try:
                caught[name] = task.result()
            except BrokenProcessPool:  # the fault crashed it
                caught[name] = True
            print(f"  {name}: {'caught' if caught[name] else 'MISSED'}", flush=True)
    return caught


def _in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    with _fresh_processes(1) as pool:
        return pool.submit(function, *arguments).result()


def _is_caught(fault: str, models: int, first: int) -> bool:
    from benchmarks.faults import FAULTS, MODES_OF

    with FAULTS[fault]():
        try:
            run(models, first, shrink=False, modes=MODES_OF.get(fault, MODES))
        except Found:
            return True
    return False


def summarise(outcomes: Counter[str], failures: list[dict[str, Any]]) -> dict[str, Any]:
    """The run as data: models by outcome and mode, refusals by rule."""
    modes = {k.removeprefix("mode "): v for k, v in sorted(outcomes.items()) if k.startswith("mode ")}
    refusals = {k.removeprefix("refused: "): v for k, v in outcomes.items() if k.startswith("refused: ")}
    models = sum(modes.values())
    return {
        "models": models,
        "windowed": outcomes["windowed"],
        "stopped": outcomes["stopped"],
        "share_of_multiply_adds_in_windows": round(
            outcomes["multiply-adds in windows"] / max(outcomes["multiply-adds"], 1), 3
        ),
        "refused": refusals,
        "refusal_rate": sum(refusals.values()) / max(models, 1),
        "modes": modes,
        "drawn_but_no_model": outcomes["invalid"],
        "failures": failures,
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit code 1 for a mismatch, a crash, or a fault that was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--faults", action="store_true", help="inject faults instead, and count those caught")
    parser.add_argument("--grid", action="store_true", help="every small layer and pair of layers, in exact integers")
    parser.add_argument("--json", type=Path, help="also write the summary here")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    if options.faults:
        caught = check_faults(options.models, options.seed, options.jobs)
        summary: dict[str, Any] = {"models_per_fault": options.models, "faults": caught}
        failed = not all(caught.values())
    elif options.grid:
        from benchmarks.fuzz_grid import run_grid

        summary = {"grid": run_grid(options.jobs)}
        failed = bool(summary["grid"]["failures"])
    else:
        outcomes, failures = run_in_processes(options.models, options.seed, options.jobs)
        for number, failure in enumerate(failures):
            Path(f"fuzz_failure_{number}.py").write_text(standalone(failure["case"]))
        summary, failed = summarise(outcomes, failures), bool(failures)
    summary.update(seed=options.seed, seconds=round(time.perf_counter() - started, 1))
    print(json.dumps(summary, indent=2))
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2) + "\n")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
