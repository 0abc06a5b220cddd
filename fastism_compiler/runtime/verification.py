"""Verification: the program against naive ISM, with errors reported per output."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from fastism_compiler.arguments import number, whole
from fastism_compiler.emit.precision import strict_float32
from fastism_compiler.errors import UnsupportedError, VerificationError
from fastism_compiler.frontend.selection import Packer
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.ir.types import FLOATS
from fastism_compiler.mutations.inputs import Array, InputSpec
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.mutations.letters import Channels, Letters
from fastism_compiler.results.html import table
from fastism_compiler.runtime.naive import WholeScorer
from fastism_compiler.runtime.scoring import Scorer

_EPSILON_FACTOR = 8
_EFFECT_FACTOR = 2e-5
_NAIVE_FACTOR = 3
_SAME_MODEL = 0.1
"""Root mean square error of a model against its clone in float64, at most, over the largest output."""
EFFECT_SHARE = {"float32": 0.0, "tf32": 0.01, "bfloat16": 0.05}
"""Precision -> error allowed besides that of float32, relative to the spread of the results."""
_LAST_BITS, _SHAKES = 2.0**-15, 8
"""Relative size, and number, of random changes of the inputs that show what rounding does to a model: the size is the
error of a sum of some hundreds of float32 numbers that partly cancel."""
_STEPS = 32 * _LAST_BITS
"""A change of results, relative to the largest, too large for rounding: the model itself has steps (it quantizes)."""
_SAME = 1e-4
"""Relative difference below which two runs of a model agree."""


class TakesInputs(Protocol):
    """Something with inputs, ranges and letters to draw from at random."""

    @property
    def inputs(self) -> InputSpec:
        """What the model takes."""

    @property
    def ranges(self) -> ChangeRanges:
        """The change ranges."""

    @property
    def letters(self) -> Letters:
        """What replacements are given for."""


class Verifiable(TakesInputs, Protocol):
    """What verification asks of a program."""

    precision: str
    scorer: Scorer

    @property
    def naive(self) -> WholeScorer:
        """The model itself, on whole sequences."""

    @property
    def selection(self) -> Packer:
        """Which outputs are returned, and their names."""

    def read_inputs(self, x: Any) -> list[Array]:
        """Inputs as flat arrays, checked."""

    def read_replacement(self, replace_with: Any, batch: int) -> Array:
        """Replacements as a table `[B, R, w, columns]`."""


@dataclass(frozen=True, slots=True)
class OutputError:
    """How one output compares with naive ISM.

    Attributes:
        name: output name.
        max_error: largest absolute difference over finite entries.
        rmse: root mean square difference; where a float64 model judged, from that model.
        tolerance: of `max_error`: `atol + rtol * max|y|`, at lower precision plus a share of the spread of the results.
            Where a float64 model judged: of `rmse` (see `_judge`).
        non_finite: entries that are NaN or infinite in naive ISM.
        same_non_finite: whether the program has exactly the same of them.
        passed: within tolerance, within float32 rounding of float64, or within three times `amplified`.
        amplified: largest change of the model's own results when its inputs change in their last bits; computed only
            where nothing else explains the difference (else 0).
        in_float64: whether a float64 model judged.
    """

    name: str
    max_error: float
    rmse: float
    tolerance: float
    non_finite: int
    same_non_finite: bool
    passed: bool
    amplified: float = 0.0
    in_float64: bool = False


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
        lines = [f"  {o.name}: max error {o.max_error:.2e} ({_told(o)}) {_verdict(o)}" for o in self.outputs]
        return "\n".join([self._summary(), *lines])

    def _repr_html_(self) -> str:
        """How a notebook shows it."""
        rows = [(o.name, f"{o.max_error:.2e}", _told(o), _verdict(o)) for o in self.outputs]
        return table(("output", "max error", "judged by", ""), rows, [self._summary()])

    def _summary(self) -> str:
        return f"compared {self.ranges} ranges of {self.sequences} sequences with naive ISM"


def _verdict(output: OutputError) -> str:
    return "ok" if output.passed else "DIFFERS"


def _told(output: OutputError) -> str:
    extra = f", {output.non_finite} non-finite" if output.non_finite else ""
    if output.in_float64:
        return f"root mean square error against float64 {output.rmse:.2e}, allowed {output.tolerance:.2e}{extra}"
    amplified = f"; rounding alone changes the model's results by {output.amplified:.1e}" if output.amplified else ""
    return f"tolerance {output.tolerance:.2e}{extra}{amplified}"


def verify_program(
    program: Verifiable, x: Any, replace_with: Any, atol: float, rtol: float, ranges: int
) -> VerificationReport:
    """See `Program.verify`."""
    ranges = whole("ranges", ranges, 1)
    atol, rtol = number("atol", atol, 0), number("rtol", rtol, 0)
    arrays = random_inputs(program) if x is None else program.read_inputs(x)
    chosen = _spread(program.ranges.count, ranges)
    table = program.read_replacement(replace_with, len(arrays[program.inputs.sequence]))
    pairs = [(b, int(r)) for b in range(len(arrays[0])) for r in chosen]
    sequence = np.array([p[0] for p in pairs], dtype=np.int32)
    change = np.array([p[1] for p in pairs], dtype=np.int32)
    jobs = Jobs(sequence, change, table[sequence, change])
    with strict_float32():
        ours, naive = program.scorer.score_jobs(arrays, jobs), program.scorer.score_jobs_naively(arrays, jobs)
    exact: list[Array] | None = None
    again: list[list[Array]] | None = None
    outputs, names = [], program.selection.names
    for k, (y, z) in enumerate(zip(ours, naive, strict=True)):
        share = EFFECT_SHARE[program.precision]
        result = _compare(names[k], y, z, atol, rtol, share)
        if not result.passed and result.same_non_finite:
            exact = exact_scores(program, arrays, jobs) if exact is None else exact
            result = _judge(result, y, z, exact[k]) if exact else result
        if not result.passed and result.same_non_finite and not exact:
            again = _rounded_otherwise(program, arrays, jobs) if again is None else again
            result = _allow(result, y, z, [run[k] for run in again])
        outputs.append(result)
    report = VerificationReport(tuple(outputs), len(chosen), len(arrays[0]))
    if not report:
        raise VerificationError(
            "the program and naive ISM differ by more than rounding; please report this model",
            expected="errors within tolerance",
            got=str(report),
        )
    return report


def check_independence(program: Verifiable) -> None:
    """Check that the model scores a sequence the same twice, and the same in another batch.

    Raises:
        UnsupportedError: a model that is random, or mixes the sequences of a batch.
    """
    arrays = random_inputs(program)
    together = program.naive(arrays)
    alone = [program.naive([x[i : i + 1] for x in arrays]) for i in range(2)]
    apart = _furthest(together, [np.concatenate(parts) for parts in zip(*alone, strict=True)])
    if apart == 0:
        return
    rule = "the model's result for a sequence depends on the other sequences of its batch"
    if _furthest(together, program.naive(arrays)) > 0:
        rule = "the model gives different results for the same input: something in it is random"
    raise UnsupportedError(rule, got=f"results that differ by {apart:.2e}")


def _furthest(one: list[Array], other: list[Array]) -> float:
    """Largest difference between two runs of a model; 0 if it is rounding."""
    found = 0.0
    for y, z in zip(one, other, strict=True):
        largest = np.abs(y[np.isfinite(y)]).max(initial=0)
        if not np.allclose(z, y, rtol=_SAME, atol=_SAME * largest, equal_nan=True):
            found = max(found, float(np.nanmax(np.abs(1.0 * z - y), initial=_SAME)))
    return found


def exact_scores(program: Verifiable, arrays: list[Array], jobs: Jobs) -> list[Array]:
    """Scores by the model in float64; an empty list if it does not run in float64."""
    try:
        return program.scorer.score_jobs_in_float64(arrays, jobs)
    except (ValueError, TypeError, NotImplementedError):  # a layer that insists on float32 when it is called
        return []


def random_inputs(program: TakesInputs, sequences: int = 2, seed: int = 0) -> list[Array]:
    """Random letters (fixed channels random), and random numbers for other inputs."""
    rng = np.random.default_rng(seed)
    arrays = []
    for position, type_ in enumerate(program.inputs.types):
        shape = (sequences, *(type_.extent(i) for i in range(1, type_.rank)))
        integers = type_.dtype.startswith(("int", "uint", "bool"))
        values = (np.zeros(shape) if integers else rng.random(shape)).astype(type_.dtype)
        if position == program.inputs.sequence and program.inputs.vocabulary is not None:
            values = rng.integers(0, program.inputs.vocabulary, shape).astype(type_.dtype)  # padding tokens too
        elif position == program.inputs.sequence:
            letter = rng.integers(0, program.letters.count, shape[:2])
            for row, chosen in zip(values, program.letters.alone(type_.dtype)[letter], strict=True):
                program.letters.write(row, chosen)
        arrays.append(values)
    return arrays


def random_replacement(program: TakesInputs, seed: int = 1) -> Array:
    """A random replacement for every range, `[R, w, C]`: unlike zeros, it shows when it is out of place.

    Random numbers in channels; random letters where the sequence is integer.
    """
    rng = np.random.default_rng(seed)
    type_, letters = program.inputs.types[program.inputs.sequence], program.letters
    shape = (program.ranges.count, program.ranges.max_width)
    if isinstance(letters, Channels) and type_.dtype in FLOATS:
        return rng.random((*shape, letters.columns)).astype(type_.dtype)
    chosen = letters.alone(type_.dtype)[rng.integers(0, letters.count, shape)]
    return chosen if isinstance(letters, Channels) else chosen[..., 0]


def _spread(count: int, most: int) -> Array:
    """Up to `most` range numbers, both ends included."""
    return np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(np.int64))


def _compare(name: str, y: Array, z: Array, atol: float, rtol: float, share: float) -> OutputError:
    finite = np.isfinite(z)
    same = bool(np.array_equal(np.isfinite(y), finite) and np.array_equal(np.isnan(y), np.isnan(z)))
    both = finite & np.isfinite(y)
    error = np.abs(y[both].astype(np.float64) - z[both])
    largest = float(np.abs(z[finite]).max(initial=0))
    filled = np.where(finite, z, 0).astype(np.float64)
    spread = float(np.abs(filled - filled.mean(axis=0)).max(initial=0)) if share else 0.0
    worst, tolerance = float(error.max(initial=0)), atol + rtol * largest + share * spread
    rmse = float(np.sqrt(np.mean(error**2))) if error.size else 0.0
    return OutputError(name, worst, rmse, tolerance, int((~finite).sum()), same, same and worst <= tolerance)


def _judge(result: OutputError, y: Array, z: Array, exact: Array) -> OutputError:
    """The float32 verdict: no worse than naive float32 is, measured against float64.

    Pass if rmse <= max(3 x naive rmse, 2e-5 x effect rms, 8 x eps x max|y|).
    """
    ours, naive = _rmse(y, exact), _rmse(z, exact)
    largest = float(np.abs(exact[np.isfinite(exact)]).max(initial=0))
    if naive > _SAME_MODEL * largest:  # a clone that is another function than the model cannot judge it
        return result
    effect = _rmse(exact, np.broadcast_to(exact.mean(axis=0, keepdims=True), exact.shape))
    epsilon = float(np.finfo(z.dtype).eps) if z.dtype.kind == "f" else 0.0
    limit = max(_NAIVE_FACTOR * naive, _EFFECT_FACTOR * effect, _EPSILON_FACTOR * epsilon * largest)
    return replace(result, rmse=ours, tolerance=limit, passed=ours <= limit, in_float64=True)


def _rounded_otherwise(program: Verifiable, arrays: list[Array], jobs: Jobs) -> list[list[Array]]:
    """Naive results for inputs and replacements that differ in their last bits."""
    rng = np.random.default_rng(0)

    def shaken(x: Array) -> Array:
        if x.dtype.kind != "f":
            return x
        return (x * (1 + _LAST_BITS * rng.uniform(-1, 1, x.shape))).astype(x.dtype)

    runs = []
    for _ in range(_SHAKES):
        others = Jobs(jobs.sequence, jobs.change, shaken(jobs.replacement))
        with strict_float32():
            runs.append(program.scorer.score_jobs_naively([shaken(x) for x in arrays], others))
    return runs


def _allow(result: OutputError, y: Array, z: Array, again: list[Array]) -> OutputError:
    """Pass differences that the model's own steps (as of rounding to 8 bits) explain, if no float64 clone can judge."""
    finite = np.isfinite(z)
    amplified = max(_furthest_from(z, other) for other in again)
    furthest = _furthest_from(z, y)
    steps = amplified > _STEPS * float(np.abs(z[finite]).max(initial=0))
    return replace(result, passed=steps and furthest <= _NAIVE_FACTOR * amplified, amplified=amplified)


def _furthest_from(z: Array, other: Array) -> float:
    both = np.isfinite(z) & np.isfinite(other)
    return float(np.abs(other[both].astype(np.float64) - z[both]).max(initial=0))


def _rmse(a: Array, b: Array) -> float:
    finite = np.isfinite(a) & np.isfinite(b)
    return float(np.sqrt(np.mean((a[finite].astype(np.float64) - b[finite]) ** 2))) if finite.any() else 0.0


__all__: Sequence[str] = ["OutputError", "VerificationReport", "random_inputs", "verify_program"]
