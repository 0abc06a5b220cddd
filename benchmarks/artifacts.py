"""Exported programs in their own runtimes: same numbers as the program, and speed in ONNX Runtime.

python -m benchmarks.artifacts                        # every model, every format, then the speeds
python -m benchmarks.artifacts --models deepstarr --no-speed
python -m benchmarks.artifacts --peak beluga          # memory that exports of a full-size model take
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

import fastism_compiler as fc
from benchmarks.compare import inputs_for
from benchmarks.run_artifacts import RUNTIMES

BATCHES = (1, 3, 8)
TOLERANCE = 1e-5
_JAX_BLOCK = 2
_SPEED = ("basset", "factorized_basset")


MODELS: dict[str, dict[str, Any]] = {
    "basset": {},
    "factorized_basset": {},
    "bpnet": {"length": 300, "filters": 16, "dilated": 5},
    "bpnet_control_tracks": {},
    "beluga": {"scale": 0.1},
    "chrombpnet": {"length": 300, "profile": 60, "filters": 8, "bias_filters": 4, "dilated": 4},
    "dilated_cnn": {"length": 160, "filters": 8, "dilated": 4, "classes": 3},
    "deepstarr": {"length": 101},
    "danq": {"length": 160, "scale": 0.03, "outputs": 5},
    "scbasset": {"length": 260, "scale": 0.03, "cells": 9},
    "optimus_5prime": {},
    "basenji2": {"length": 1024, "scale": 0.02, "tracks": 3, "crop": 1},
    "spliceai": {"length": 200, "filters": 4, "blocks": 1},
    "enformer": {"length": 512, "scale": 0.02, "attention": 1, "tracks": 3, "crop": 1},
    "borzoi": {"length": 512, "scale": 0.02, "attention": 1, "tracks": 3, "crop": 2},
}
"""Models of `fc.models` (not Sei and PromoterAI); the large ones as small copies of the same structure."""


def export_model(
    name: str, folder: Path, build: dict[str, Any], batches: Sequence[int] = BATCHES, *, jit: bool = True
) -> None:
    """Export one model in every format, with inputs to run and the program's own results beside them.

    Without `jit` the program's own results are computed without XLA, which is faster for tests; artifacts are the same.
    """
    model = getattr(fc.models, name)(**build)
    program = fc.compile(model, batch_size=max(batches), verify=False)
    folder.mkdir(parents=True)
    manifest = program.export(folder / "savedmodel", "savedmodel")
    program.export(folder / "scan.onnx", "onnx")
    program.export(folder / "stablehlo", "stablehlo", batch_size=_JAX_BLOCK)
    if not jit:
        program = fc.compile(model, batch_size=max(batches), verify=False, jit=False)
    rng = np.random.default_rng(1)
    cases = []
    for batch in batches:
        inputs = inputs_for(model, batch, seed=batch)
        replacement = rng.random((1, inputs[0].shape[2])).astype(np.float32)
        tensors = {t.name: x for t, x in zip(manifest.inputs, inputs, strict=True)}
        np.savez(folder / f"inputs-{batch}.npz", **tensors, replacement=replacement)
        x = inputs if len(inputs) > 1 else inputs[0]
        for function, result in (
            ("scan", program(x, replacement)),
            ("saturate", program.saturate(x)),
            ("reference", program.reference(x)),
        ):
            flat = {t.name: y for t, y in zip(manifest.outputs, keras.tree.flatten(result), strict=True)}
            np.savez(folder / f"program-{function}-{batch}.npz", **flat)
        cases.append({"batch": batch, "inputs": f"inputs-{batch}.npz"})
    (folder / "cases.json").write_text(json.dumps(cases))


def run_elsewhere(runtime: str, folder: Path) -> None:
    """Run every exported model below `folder` in a new process that imports `runtime` only."""
    script = Path(__file__).with_name("run_artifacts.py").resolve()
    command = [sys.executable, "-P", str(script), runtime, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise RuntimeError(f"{runtime} failed:\n{done.stderr[-4000:]}")


def worst_error(folder: Path, runtime: str, batches: Sequence[int] = BATCHES) -> float:
    """Largest error of one model in one runtime; infinite where shapes differ.

    Relative to the largest value of the output over all cases: the score of a
    single sequence may cancel to nearly 0, with the rounding of larger terms.
    """
    errors: dict[str, float] = {}
    largest: dict[str, float] = {}
    for function in RUNTIMES[runtime][1]:
        for batch in batches:
            theirs = np.load(folder / f"{runtime}-{function}-{batch}.npz")
            ours = np.load(folder / f"program-{function.removesuffix('_plain')}-{batch}.npz")
            for name in ours:
                if theirs[name].shape != ours[name].shape or not np.isfinite(theirs[name]).all():
                    return float("inf")
                errors[name] = max(errors.get(name, 0.0), float(np.abs(theirs[name] - ours[name]).max()))
                largest[name] = max(largest.get(name, 0.0), float(np.abs(ours[name]).max()))
    return max(errors[name] / largest[name] for name in errors)


def onnx_speeds(name: str, build: dict[str, Any], batch: int = 1) -> tuple[float, float]:
    """CPU seconds per sequence of a scan in ONNX Runtime, one thread: the program, and its naive loop.

    CPU time of one thread does not depend on what else the machine does.
    """
    import onnxruntime

    model = getattr(fc.models, name)(**build)
    program = fc.compile(model, verify=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    seconds = []
    with tempfile.TemporaryDirectory() as scratch:
        for naive in (False, True):
            path = Path(scratch) / f"{naive}.onnx"
            manifest = program.export(path, "onnx", naive=naive)
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            tensors = {t.name: x for t, x in zip(manifest.inputs, inputs_for(model, batch), strict=True)}
            tensors["replacement"] = np.zeros((1, tensors["x"].shape[2]), np.float32)
            seconds.append(_least_cpu_seconds(session, tensors) / batch)
    return seconds[0], seconds[1]


def _least_cpu_seconds(session: Any, tensors: dict[str, Any], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        started = time.process_time()
        session.run(None, tensors)
        times.append(time.process_time() - started)
    return min(times)


def export_full_size(name: str, format: str) -> None:
    """Export one published model; print the peak memory of this process and the size of the artifact, in bytes."""
    program = fc.compile(getattr(fc.models, name)(), batch_size=1, verify=False)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "artifact"
        program.export(path, format)
        size = sum(f.stat().st_size for f in Path(scratch).rglob("*") if f.is_file())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, size)


def peaks(name: str) -> list[dict[str, Any]]:
    """Peak memory of exporting a full-size model, one process per format."""
    found = []
    for format in ("savedmodel", "onnx", "stablehlo"):
        command = [sys.executable, "-m", "benchmarks.artifacts", "--child", name, format]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peak, size = map(int, done.stdout.split()[-2:])
        found.append({"model": name, "format": format, "peak_gb": peak / 1e9, "artifact_gb": size / 1e9})
        print(found[-1], flush=True)
    return found


def agreement(name: str) -> dict[str, Any]:
    """Largest relative error of a model's artifacts in every runtime."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        started = time.perf_counter()
        export_model(name, folder, MODELS[name])
        found: dict[str, Any] = {"model": name, "export_s": time.perf_counter() - started}
        for runtime in RUNTIMES:
            run_elsewhere(runtime, folder.parent)
            found[runtime] = worst_error(folder, runtime)
    print(found, flush=True)
    return found


def speeds(name: str) -> dict[str, Any]:
    """ONNX Runtime's seconds per sequence for the program and for its naive loop, and their ratio."""
    ours, naive = onnx_speeds(name, MODELS[name])
    found = {"model": name, "onnxruntime_s": ours, "naive_loop_s": naive, "speed_up": naive / ours}
    print(found, flush=True)
    return found


def keep(path: Path | None, what: str, rows: list[dict[str, Any]]) -> None:
    """Write results into a file, beside those of another kind that it holds."""
    if path is not None:
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | {what: rows}, indent=2) + "\n")


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--no-speed", action="store_true", help="leave out ONNX Runtime against its naive loop")
    parser.add_argument("--peak", metavar="MODEL", help="measure only the memory of exporting this full-size model")
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--child", nargs=2, metavar=("MODEL", "FORMAT"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        export_full_size(*options.child)
        return
    if options.peak:
        keep(options.json, "peak", peaks(options.peak))
        return
    rows = []
    for name in options.models:
        rows.append(agreement(name))
        keep(options.json, "agreement", rows)  # after each: the next may fail
    timed = [] if options.no_speed else [n for n in _SPEED if n in options.models]
    if timed:
        keep(options.json, "speed", [speeds(name) for name in timed])
    failed = [r["model"] for r in rows if max(r[k] for k in RUNTIMES) > TOLERANCE]
    if failed:
        raise SystemExit(f"beyond {TOLERANCE:g} of the largest output: {', '.join(failed)}")


if __name__ == "__main__":
    main()
