"""The differential fuzzer: random models, compiled, against naive ISM in float64.

    python -m benchmarks.fuzz --models 10000 --seed 0          # prints a summary; a failure is shrunk and saved
    python -m benchmarks.fuzz --faults --models 500            # inject faults: each must be caught

Any logic error shows: in float64 both sides agree to 1e-9 relative.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, assume, given, seed, settings
from hypothesis import strategies as st

from benchmarks.fuzz_specs import Spec, build, ranges_for, specs

TOLERANCE = 1e-9


class MismatchError(AssertionError):
    """The program and naive ISM disagree."""


def check_spec(spec: Spec, data: Any = None) -> str:
    """Compile one spec and compare; returns what happened.

    Raises:
        MismatchError: a wrong number, shape or effect.
        Exception: a crash in the compiler or the program.
    """
    import fastism_compiler as fc
    from fastism_compiler.models.randomize import randomize
    from fastism_compiler.naive import float64_clone

    try:
        model = float64_clone(randomize(build(spec)))
    except (ValueError, TypeError):
        return "invalid"
    length = spec["length"]
    ranges = [(i, i + 1) for i in range(length)] if data is None else data.draw(ranges_for(length))
    rng = np.random.default_rng(len(json.dumps(spec)))
    x = _sequences(rng, length)
    widths = [hi - lo for lo, hi in ranges]
    replacement: Any = [rng.random((w, 4)) for w in widths]
    try:
        program = fc.compile(model, ranges=ranges, jit=False, verify=False)
    except fc.UnsupportedError:
        return "refused"
    scores = _flat(program(x, replacement))
    for y, z in zip(scores, _naive(model, x, ranges, replacement), strict=True):
        _compare(y, z)
    _check_no_effect(program, x, ranges)
    return "stopped" if program.plan.stops else "windowed"


def _sequences(rng: np.random.Generator, length: int) -> np.ndarray[Any, Any]:
    """Two one-hot sequences, one with an N."""
    x = np.eye(4)[rng.integers(0, 4, (2, length))]
    x[1, length // 2] = 0
    return x


def _flat(nest: Any) -> list[Any]:
    import keras

    return [np.asarray(y) for y in keras.tree.flatten(nest)]


def _naive(model: Any, x: Any, ranges: list[tuple[int, int]], replacement: list[Any]) -> list[Any]:
    results = []
    for (lo, hi), letters in zip(ranges, replacement, strict=True):
        mutant = x.copy()
        mutant[:, lo:hi] = letters
        results.append(_flat(model(mutant)))
    return [np.stack(parts, axis=1) for parts in zip(*results, strict=True)]


def _compare(y: Any, z: Any) -> None:
    if y.shape != z.shape:
        raise MismatchError(f"shape {y.shape}, expected {z.shape}")
    finite = np.isfinite(z)
    if not np.array_equal(np.isfinite(y), finite):
        raise MismatchError("non-finite values in other places")
    error = np.abs(y[finite] - z[finite]).max(initial=0)
    limit = 1e-12 + TOLERANCE * np.abs(z[finite]).max(initial=0)
    if error > limit:
        raise MismatchError(f"error {error:.2e} above {limit:.2e}")


def _check_no_effect(program: Any, x: Any, ranges: list[tuple[int, int]]) -> None:
    """Replacing a sequence by itself has an effect of exactly 0."""
    width = max(hi - lo for lo, hi in ranges)
    same = np.zeros((len(x), len(ranges), width, 4))
    for r, (lo, hi) in enumerate(ranges):
        same[:, r, : hi - lo] = x[:, lo:hi]
    if any(np.any(np.nan_to_num(y)) for y in _flat(program(x, same, delta=True))):
        raise MismatchError("a replacement equal to the sequence has an effect")


def run(models: int, first: int, *, shrink: bool = True) -> Counter[str]:
    """Check `models` random models; counts by outcome. Raises with the smallest failing spec."""
    outcomes: Counter[str] = Counter()
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)

    @seed(first)
    @settings(max_examples=models, deadline=None, database=None, phases=phases, suppress_health_check=list(HealthCheck))
    @given(specs(), st.data())
    def check(spec: Spec, data: Any) -> None:
        outcome = check_spec(spec, data)
        outcomes[outcome] += 1
        assume(outcome != "invalid")

    check()
    return outcomes


def check_faults(models: int, first: int) -> dict[str, bool]:
    """Which of the injected faults a run of `models` models notices.

    The same models run without a fault first: only then does a failure, a
    crash included, say that the fault was noticed.
    """
    from benchmarks.faults import FAULTS

    run(models, first, shrink=False)
    caught = {}
    for name, inject in FAULTS.items():
        with inject():
            try:
                run(models, first, shrink=False)
                caught[name] = False
            except Exception:
                caught[name] = True
        print(f"  {name}: {'caught' if caught[name] else 'MISSED'}", flush=True)
    return caught


def main(arguments: list[str] | None = None) -> int:
    """Command line; exit code 1 for a mismatch, a crash, or a fault that was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", action="store_true", help="inject faults instead, and count those caught")
    parser.add_argument("--json", type=Path, help="also write the summary here")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    if options.faults:
        caught = check_faults(options.models, options.seed)
        summary: dict[str, Any] = {"faults": caught}
        failed = not all(caught.values())
    else:
        outcomes = run(options.models, options.seed)
        valid = sum(v for k, v in outcomes.items() if k != "invalid")
        summary = {"models": valid, "outcomes": dict(outcomes), "refused": outcomes["refused"] / max(valid, 1)}
        failed = False
    summary.update(seed=options.seed, seconds=round(time.perf_counter() - started, 1))
    print(json.dumps(summary, indent=2))
    if options.json:
        options.json.write_text(json.dumps(summary, indent=2) + "\n")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
