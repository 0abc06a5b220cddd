"""Naive and compiled programs as StableHLO, timed through JAX on whatever accelerator it sees.

Two steps, so that the machine that times needs JAX alone:

python -m benchmarks.gpu export FOLDER --models basset bpnet --batch 8   # TensorFlow and this package
python benchmarks/gpu.py run FOLDER --json gpu.json                       # numpy and JAX

`export --no-weights` leaves the weights out; `run` then draws random ones, which takes the same time.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MODELS: dict[str, dict[str, Any]] = {
    "basset": {},
    "factorized_basset": {},
    "bpnet": {},
    "beluga": {},
    "chrombpnet": {},
}
"""Models and arguments."""
_REPEATS = 5
_STRICT, _TF32 = "HIGHEST", "DEFAULT"
"""StableHLO's names: every bit of float32, or whatever the accelerator does best (TensorFloat-32 on Nvidia's)."""


# Step 1: with TensorFlow


def export(folder: Path, models: list[str], batch: int, weights: bool, tiny: bool) -> None:
    """Write `<folder>/<model>/{ours,naive}`: a StableHLO export each, with inputs and weights' shapes beside it."""
    from fastism_compiler.passes.choose_program import ChooseProgramPass

    import fastism_compiler as fc
    from benchmarks.compare import inputs_for

    whole = fc.default_pipeline().replace("choose-program", ChooseProgramPass(break_even=float("inf")))
    for name in models:
        model = getattr(fc.models, name)(**({"length": 100} if tiny else MODELS[name]))
        for kind, pipeline in (("ours", None), ("naive", whole)):
            print(f"{name}, {kind} ...", file=sys.stderr, flush=True)
            program = fc.compile(model, batch_size=batch, verify=False, pipeline=pipeline)
            place = folder / name / kind
            place.parent.mkdir(parents=True, exist_ok=True)
            program.export(place, "stablehlo", batch_size=batch)
            _describe(place, inputs_for(model, batch), keep_weights=weights)


def _describe(place: Path, inputs: list[Any], keep_weights: bool) -> None:
    """Put what `run` needs besides beside an export."""
    with np.load(place / "weights.npz") as arrays:
        shapes = {key: [list(arrays[key].shape), str(arrays[key].dtype)] for key in arrays.files}
    (place / "shapes.json").write_text(json.dumps(shapes))
    np.savez(place / "inputs.npz", *inputs)
    if not keep_weights:
        (place / "weights.npz").unlink()


# Step 2: with JAX alone


def run(folder: Path) -> list[dict[str, Any]]:
    """Time every export; ours and naive in turn, strict and with TF32."""
    import jax

    device = jax.devices()[0]
    rows = []
    for place in sorted(p for p in folder.iterdir() if p.is_dir()):
        for precision, setting in (("float32", _STRICT), ("tf32", _TF32)):
            calls = {kind: _call(place / kind, setting) for kind in ("ours", "naive")}
            seconds = {kind: _median(call) for kind, call in calls.items()}
            batch = json.loads((place / "ours" / "manifest.json").read_text())["batch_size"]
            rows.append(
                {
                    "device": device.device_kind,
                    "model": place.name,
                    "precision": precision,
                    "batch": batch,
                    "naive_s": seconds["naive"] / batch,
                    "ours_s": seconds["ours"] / batch,
                    "speed_up": seconds["naive"] / seconds["ours"],
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def _call(place: Path, setting: str) -> Callable[[], Any]:
    """A scan of one block by an export, every product at the given precision."""
    if not (place / "weights.npz").exists():
        rng = np.random.default_rng(0)
        shapes = json.loads((place / "shapes.json").read_text()).items()
        drawn = {k: (0.05 * rng.standard_normal(shape)).astype(dtype) for k, (shape, dtype) in shapes}
        np.savez(place / "weights.npz", **drawn)
    text = (place / "scan.mlir").read_text()
    for other in (_STRICT, _TF32):
        text = text.replace(f"precision = [{other}, {other}]", f"precision = [{setting}, {setting}]")
        text = text.replace(f"#stablehlo<precision {other}>", f"#stablehlo<precision {setting}>")
    (place / "scan.mlir").write_text(text)
    program = _runner(place)(place)
    manifest = program.manifest
    names = [t["name"] for t in manifest["inputs"]]
    with np.load(place / "inputs.npz") as arrays:
        tensors = dict(zip(names, [arrays[k] for k in arrays.files], strict=True))
    shape = next(p["shape"] for p in manifest["details"]["modules"]["scan"]["inputs"] if p["name"] == "replacement")
    return lambda: program("scan", replacement=np.zeros(shape, np.float32), **tensors)


def _runner(place: Path) -> Any:
    """The `Program` class of the runner that stands beside an export."""
    spec = importlib.util.spec_from_file_location("run_with_jax", place / "run_with_jax.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(place / "run_with_jax.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Program


def _median(call: Callable[[], Any]) -> float:
    """Seconds of a call. As `benchmarks.timing.seconds`, which is not there where this file runs alone."""
    call()
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("export", "run"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--no-weights", action="store_true")
    parser.add_argument("--tiny", action="store_true", help="models of length 100, to try the script")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args(arguments)
    if options.step == "export":
        export(options.folder, options.models, options.batch, not options.no_weights, options.tiny)
        return
    rows = run(options.folder)
    print("| device | model | precision | batch | naive s/seq | ours s/seq | speed-up |\n|---|---|---|---|---|---|---|")
    for r in rows:
        print(
            f"| {r['device']} | {r['model']} | {r['precision']} | {r['batch']} | {r['naive_s']:.3g} "
            f"| {r['ours_s']:.3g} | {r['speed_up']:.1f}x |"
        )
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
