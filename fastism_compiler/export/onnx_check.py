"""An ONNX model in ONNX Runtime, against the program it was made from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from fastism_compiler.errors import UnsupportedError, VerificationError
from fastism_compiler.export.describe import REPLACEMENT
from fastism_compiler.export.manifest import Manifest
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.runtime.engine_program import EngineProgram
from fastism_compiler.runtime.verification import exact_scores, random_inputs, random_replacement

_SEQUENCES = 3
_RTOL, _ATOL = 1e-5, 1e-6
_ROUNDING, _EPSILONS = 3, 8
"""Against float64, ONNX Runtime may be three times as far off as the model in float32, or eight units in the last place
of the largest value."""
_JUDGED = 16
"""If errors exceed the tolerance, the mutants that differ most are also scored in float64: so many of them."""


@dataclass(frozen=True, slots=True)
class _Case:
    """One call of an exported function.

    Attributes:
        inputs: flat inputs of the model.
        tensors: the same by name, and a scan's replacement: what ONNX Runtime gets.
        expected: what the program says, flat `[*cells, *out]`.
        jobs: returns the mutant of every cell; called only if results differ.
        doubtful: whether the model itself had to score some cells, which are NaN in ONNX Runtime.
    """

    inputs: list[Array]
    tensors: dict[str, Array]
    expected: list[Array]
    jobs: Callable[[], Jobs]
    doubtful: bool


def check_onnx(program: EngineProgram, manifest: Manifest, path: Path, runtime: Any) -> None:
    """Run ONNX's full checker, then compare the model in ONNX Runtime with the program.

    Args:
        program: the program.
        manifest: describes the exported function.
        path: the ONNX model.
        runtime: the `onnxruntime` module.

    Raises:
        UnsupportedError: a model that is not valid ONNX.
        VerificationError: results that differ by more than rounding.
    """
    session = _session(path, runtime)
    for count in (1, _SEQUENCES):
        case = _case(program, manifest, count)
        theirs = session.run(None, case.tensors)
        for number, output in enumerate(manifest.outputs):
            _compare(program, case, number, output.name, theirs[number])


def _session(path: Path, runtime: Any) -> Any:
    try:
        onnx.checker.check_model(str(path), full_check=True)
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # whatever the checker or the runtime raises
        raise UnsupportedError(
            "the converted model is not valid ONNX; export as savedmodel or stablehlo instead", got=str(error)
        ) from error


def _case(program: EngineProgram, manifest: Manifest, count: int) -> _Case:
    """Random sequences, and what the program makes of them."""
    inputs = random_inputs(program, count)
    tensors = {t.name: x for t, x in zip(manifest.inputs, inputs, strict=True)}
    x, replacement = program.inputs.pack(inputs), random_replacement(program)[0]
    (function,) = manifest.functions
    rescored = program.rescored
    if function == "scan":
        tensors[REPLACEMENT] = replacement
        result = program(x, [replacement[:w] for w in program.ranges.widths])
    else:
        result = program.saturate(x) if function == "saturate" else program.reference(x)
    return _Case(
        inputs,
        tensors,
        program.selection.unpack(result),
        lambda: _jobs(program, function, inputs[program.inputs.sequence], replacement),
        program.rescored > rescored,
    )


def _jobs(program: EngineProgram, function: str, x: Array, replacement: Array) -> Jobs:
    """What each cell of a result stands for, in the order of its leading axes; a reference replaces x by itself."""
    ranges, letters = program.ranges, program.letters
    if function == "scan":
        table = np.broadcast_to(replacement, (len(x), ranges.count, *replacement.shape))
    elif function == "saturate":
        alone = letters.alone(x.dtype)[:, None]
        table = np.broadcast_to(alone, (len(x), ranges.count, *alone.shape))
    else:
        places = np.minimum(ranges.lo[0] + np.arange(ranges.max_width), x.shape[1] - 1)
        table = letters.read(x[:, places])
    cells = np.indices(table.shape[:-2]).reshape(table.ndim - 2, -1).astype(np.int32)
    change = cells[1] if len(cells) > 1 else np.zeros_like(cells[0])
    return Jobs(cells[0], change, table.reshape(-1, *table.shape[-2:]))


def _compare(program: EngineProgram, case: _Case, number: int, name: str, theirs: Array) -> None:
    """Compare one output; NaN marks cells that only the model itself could score, if there are any.

    Deep models round by more than 1e-5 of their outputs, in the program and in
    ONNX Runtime alike: then float64 decides whether a difference is rounding.
    """
    ours = case.expected[number].astype(np.float64)
    usable = np.isfinite(ours)
    if case.doubtful and theirs.shape == ours.shape:
        usable &= ~np.isnan(theirs)
    error = np.where(usable, np.abs(theirs - ours), 0) if theirs.shape == ours.shape else np.array([np.inf])
    limit = _ATOL + _RTOL * np.abs(ours[usable]).max(initial=0)
    worst = float(error.max())
    if limit < worst < np.inf:
        worst, limit = _judge(program, case, number, theirs, error) or (worst, limit)
    if not worst <= limit:  # NaN, too
        raise VerificationError(
            "the ONNX model and the program differ by more than rounding; please report this model",
            expected=f"{list(ours.shape)}, errors up to {limit:.1e}",
            got=f"output {name!r}: {list(theirs.shape)}, error {worst:.1e}",
        )


def _judge(program: EngineProgram, case: _Case, number: int, theirs: Array, error: Array) -> tuple[float, float] | None:
    """How far ONNX Runtime is from float64 where it is furthest from the program, and how far it may be.

    None if there is no float64 result.
    """
    jobs = case.jobs()
    rows = np.argsort(error.reshape(len(jobs), -1).max(axis=1))[-_JUDGED:]
    chosen = jobs.take(rows)
    exact = exact_scores(program, case.inputs, chosen)
    if not exact:
        return None
    naive, wanted = program.scorer.score_jobs_naively(case.inputs, chosen)[number], exact[number]
    finite = np.isfinite(wanted)
    there, naive, wanted = (y[finite] for y in (theirs.reshape(len(jobs), *naive.shape[1:])[rows], naive, wanted))
    unit = float(np.finfo(naive.dtype).eps * np.abs(wanted).max(initial=0))
    limit = max(_ROUNDING * float(np.abs(naive - wanted).max(initial=0)), _EPSILONS * unit)
    return float(np.abs(there - wanted).max(initial=0)), limit
