"""Verification: the program against naive ISM, with errors reported per output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastism_compiler.inputs import Array
from fastism_compiler.ir.errors import VerificationError
from fastism_compiler.jobs import Jobs
from fastism_compiler.replacements import read_replacement

if TYPE_CHECKING:
    from fastism_compiler.compiled import CompiledISM

_EPSILON_FACTOR = 8
_EFFECT_FACTOR = 2e-5
_NAIVE_FACTOR = 3


@dataclass(frozen=True, slots=True)
class OutputError:
    """How one output compares with naive ISM.

    Attributes:
        name: output name.
        max_error: largest absolute difference over finite entries.
        rmse: root mean square difference.
        tolerance: `atol + rtol * max|y|`.
        non_finite: entries that are NaN or infinite in naive ISM.
        same_non_finite: whether the program has exactly the same of them.
        passed: within tolerance, or within float32 rounding of float64.
    """

    name: str
    max_error: float
    rmse: float
    tolerance: float
    non_finite: int
    same_non_finite: bool
    passed: bool


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """The outcome of a verification; truthy if every output passed."""

    outputs: tuple[OutputError, ...]
    ranges: int
    sequences: int

    @property
    def worst(self) -> float:
        """Largest absolute error over all outputs."""
        return max(o.max_error for o in self.outputs)

    def __bool__(self) -> bool:
        return all(o.passed for o in self.outputs)

    def __str__(self) -> str:
        lines = [f"compared {self.ranges} ranges of {self.sequences} sequences with naive ISM"]
        for o in self.outputs:
            verdict = "ok" if o.passed else "DIFFERS"
            extra = f", {o.non_finite} non-finite" if o.non_finite else ""
            lines.append(f"  {o.name}: max error {o.max_error:.2e} (tolerance {o.tolerance:.2e}{extra}) {verdict}")
        return "\n".join(lines)


def verify_program(
    program: CompiledISM, x: Any, replace_with: Any, atol: float, rtol: float, ranges: int
) -> VerificationReport:
    """See `CompiledISM.verify`."""
    arrays = program.inputs.read(x) if x is not None else random_inputs(program)
    chosen = _spread(program.ranges.count, ranges)
    dtype = arrays[program.inputs.sequence].dtype.name
    table = read_replacement(replace_with, len(arrays[0]), program.ranges, len(program.letters), dtype)
    pairs = [(b, int(r)) for b in range(len(arrays[0])) for r in chosen]
    sequence = np.array([p[0] for p in pairs], dtype=np.int32)
    change = np.array([p[1] for p in pairs], dtype=np.int32)
    jobs = Jobs(sequence, change, table[sequence, change])
    ours, naive = program.score_jobs(arrays, jobs), program.score_jobs_naively(arrays, jobs)
    exact: list[Array] | None = None
    outputs = []
    for k, (y, z) in enumerate(zip(ours, naive, strict=True)):
        result = _compare(f"output {k}", y, z, atol, rtol)
        if not result.passed and result.same_non_finite:
            exact = exact or _exact_scores(program, arrays, jobs)
            result = _judge(result, y, z, exact[k]) if exact else result
        outputs.append(result)
    report = VerificationReport(tuple(outputs), len(chosen), len(arrays[0]))
    if not report:
        raise VerificationError(
            "the program and naive ISM differ by more than rounding; please report this model",
            expected="errors within tolerance",
            got=str(report),
        )
    return report


def _exact_scores(program: CompiledISM, arrays: list[Array], jobs: Jobs) -> list[Array]:
    """Scores by a float64 clone; none where the model cannot be cloned."""
    try:
        return program.score_jobs_in_float64(arrays, jobs)
    except (ValueError, TypeError, NotImplementedError):
        return []


def random_inputs(program: CompiledISM, sequences: int = 2, seed: int = 0) -> list[Array]:
    """Random one-hot letters (fixed channels random), and random numbers for other inputs."""
    rng = np.random.default_rng(seed)
    arrays = []
    for position, type_ in enumerate(program.inputs.types):
        shape = (sequences, *(type_.extent(i) for i in range(1, type_.rank)))
        if type_.dtype.startswith(("int", "uint", "bool")):
            arrays.append(np.zeros(shape, type_.dtype))
            continue
        values = rng.random(shape)
        if position == program.inputs.sequence:
            letters = len(program.letters)
            values[:, :, list(program.letters)] = np.eye(letters)[rng.integers(0, letters, shape[:2])]
        arrays.append(values.astype(type_.dtype))
    return arrays


def random_replacement(program: CompiledISM, seed: int = 1) -> Array:
    """Random numbers for every range, `[R, w, C]`: unlike zeros, they show a replacement that is out of place."""
    shape = (program.ranges.count, program.ranges.max_width, len(program.letters))
    return np.random.default_rng(seed).random(shape).astype(program.inputs.types[program.inputs.sequence].dtype)


def _spread(count: int, most: int) -> Array:
    """Up to `most` range numbers, both ends included."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))


def _compare(name: str, y: Array, z: Array, atol: float, rtol: float) -> OutputError:
    finite = np.isfinite(z)
    same = bool(np.array_equal(np.isfinite(y), finite) and np.array_equal(np.isnan(y), np.isnan(z)))
    error = np.abs(y.astype(np.float64) - z)[finite & np.isfinite(y)]
    largest = float(np.abs(z[finite]).max(initial=0))
    worst, tolerance = float(error.max(initial=0)), atol + rtol * largest
    rmse = float(np.sqrt(np.mean(error**2))) if error.size else 0.0
    return OutputError(name, worst, rmse, tolerance, int((~finite).sum()), same, same and worst <= tolerance)


def _judge(result: OutputError, y: Array, z: Array, exact: Array) -> OutputError:
    """The float32 verdict: no worse than naive float32 is, measured against float64.

    Pass if rmse <= max(3 x naive rmse, 2e-5 x effect rms, 8 x eps x max|y|).
    """
    ours, naive = _rmse(y, exact), _rmse(z, exact)
    effect = _rmse(exact, np.broadcast_to(exact.mean(axis=0, keepdims=True), exact.shape))
    epsilon = float(np.finfo(z.dtype).eps) if z.dtype.kind == "f" else 0.0
    limit = max(_NAIVE_FACTOR * naive, _EFFECT_FACTOR * effect, _EPSILON_FACTOR * epsilon * float(np.abs(exact).max()))
    return OutputError(
        result.name, result.max_error, ours, limit, result.non_finite, result.same_non_finite, ours <= limit
    )


def _rmse(a: Array, b: Array) -> float:
    finite = np.isfinite(a) & np.isfinite(b)
    return float(np.sqrt(np.mean((a[finite].astype(np.float64) - b[finite]) ** 2))) if finite.any() else 0.0


__all__: Sequence[str] = ["OutputError", "VerificationReport", "random_inputs", "verify_program"]
