"""Naive and compiled programs as StableHLO, timed and compared through JAX on whatever accelerator it sees.

Two steps, so that the machine that times needs JAX alone:

python -m benchmarks.gpu export FOLDER --models basset bpnet --batch 8   # TensorFlow and this package
python benchmarks/gpu.py run FOLDER --json gpu.json                       # numpy and JAX

Weights do not travel: both steps draw them, from their names. Effects are compared with those of strict naive ISM.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

MODELS: dict[str, tuple[int, tuple[int, ...]]] = {
    "basset": (8, (1024,)),  # 256 took up to 11 % longer, for the next two models too
    "factorized_basset": (8, (1024,)),
    "bpnet": (8, (1024,)),
    "beluga": (4, (16, 64)),  # 256 did not fit into 80 GB
    "chrombpnet": (1, (64,)),
}
"""Models, the sequences of a block, and whole mutants per step of the naive programs, of which the fastest counts."""
PRECISIONS = {"float32": "HIGHEST", "tf32": "DEFAULT", "bfloat16": None}
"""How naive programs multiply, in StableHLO's names: every bit of float32, or what the accelerator does best
(TensorFloat-32 on Nvidia's). Ours reduce only the operands of products of differences."""
_REPEATS = 3
_TIMED = ("scan", "reference")
_MEMORY = "64GiB"

Array = np.ndarray[Any, Any]


def drawn(path: str, shape: Sequence[int]) -> Array:
    """The values of a variable: the same on every machine, of a size that keeps activations near 1."""
    numbers = np.random.RandomState(zlib.crc32(path.encode())).standard_normal(shape).astype(np.float32)
    if len(shape) > 1:
        return numbers * np.float32(np.sqrt(2 / np.prod(shape[:-1])))
    centre = 1.0 if path.endswith(("gamma", "variance")) else 0.0
    return np.float32(centre) + np.float32(0.1) * np.abs(numbers)


# Step 1: with TensorFlow


def export(folder: Path, models: Sequence[str], precisions: Sequence[str], batch: int | None, tiny: bool) -> None:
    """Write `<folder>/<model>/<ours-PRECISION or naive-ROWS>`: a StableHLO export each, with inputs beside it."""
    from fastism_compiler.passes.choose_program import ChooseProgramPass

    import fastism_compiler as fc
    from benchmarks.compare import inputs_for
    from benchmarks.floor import least_work

    whole = fc.default_pipeline().replace("choose-program", ChooseProgramPass(break_even=float("inf")))
    programs: dict[str, dict[str, Any]] = {f"ours-{p}": {"precision": p, "target": "gpu"} for p in precisions}
    for name in models:
        sequences, naive_rows = MODELS[name] if not tiny else (2, (64,))
        naive = {
            f"naive-{n}": {"target": replace(fc.passes.ONE_GPU, whole_rows=n), "pipeline": whole} for n in naive_rows
        }
        model = getattr(fc.models, name)(**({"length": 100} if tiny else {}))
        for variable in model.variables:
            if variable.dtype == "float32":
                variable.assign(drawn(variable.path, variable.shape))
        sequences = batch or sequences
        for kind, options in {**programs, **naive}.items():
            print(f"{name}, {kind} ...", file=sys.stderr, flush=True)
            program = fc.compile(model, batch_size=sequences, verify=False, memory_budget=_MEMORY, **options)
            place = folder / name / kind
            place.parent.mkdir(parents=True, exist_ok=True)
            program.export(place, "stablehlo", batch_size=sequences)
            (place / "saturate.mlir").unlink()
            np.savez(place / "inputs.npz", *inputs_for(model, sequences))
            _describe(place, {"multiply_adds": least_work(program), "predicted": program.plan.speed_up})


def _describe(place: Path, facts: dict[str, float]) -> None:
    """Replace the weights by their shapes and the facts that `run` needs."""
    with np.load(place / "weights.npz") as arrays:
        shapes = {key: arrays[key].shape for key in arrays.files}
    (place / "sizes.json").write_text(json.dumps({"weights": shapes, **facts}))
    (place / "weights.npz").unlink()


# Step 2: with JAX alone


def run(folder: Path, names: Sequence[str], precisions: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Time the exports of each model, precision by precision, and compare effects with those of strict naive ISM."""
    import jax

    device = jax.devices()[0].device_kind
    rates = {precision: product_rate(precision) for precision in precisions}
    for name in names:
        truth: Array | None = None
        naive: dict[str, Any] = {}
        for precision in precisions:
            setting = PRECISIONS[precision]
            wholes = _wholes(folder / name, setting) if setting else {}
            ours = _timed(folder / name / f"ours-{precision}")
            # there are no naive programs in bfloat16, which would be another model
            naive = min(wholes.values(), key=lambda t: t["seconds"]) if wholes else naive
            truth = naive["effects"] if truth is None else truth
            facts = json.loads((folder / name / f"ours-{precision}" / "sizes.json").read_text())
            for program, timed in [*wholes.items(), ("ours", ours)]:
                row = {"device": device, "model": name, "precision": precision, "program": program}
                row |= {k: v for k, v in timed.items() if k != "effects"}
                row["speed_up"] = naive["seconds"] / timed["seconds"]
                row["over_floor"] = timed["seconds"] * rates[precision] / facts["multiply_adds"]
                row |= {"predicted": facts["predicted"]} if program == "ours" else {}
                yield row | _compared(timed["effects"], truth)


def _wholes(folder: Path, setting: str) -> dict[str, dict[str, Any]]:
    """The naive programs of a model that fit into memory, timed."""
    import jax

    timed = {}
    for place in sorted(folder.glob("naive-*")):
        try:
            timed[place.name] = _timed(place, setting)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            print(f"{place}: {str(error).partition('[')[0]}", file=sys.stderr)
    return timed


def product_rate(precision: str) -> float:
    """Multiply-adds per second of one large product at a precision."""
    import jax

    size = 1024 if jax.devices()[0].platform == "cpu" else 8192
    dtype = jax.numpy.bfloat16 if precision == "bfloat16" else jax.numpy.float32
    a = jax.random.normal(jax.random.key(0), (size, size), dtype)
    dot = jax.jit(lambda a: jax.numpy.dot(a, a, precision="highest" if precision == "float32" else "default"))
    dot(a).block_until_ready()
    times = []
    for _ in range(_REPEATS):
        started = time.perf_counter()
        dot(a).block_until_ready()
        times.append(time.perf_counter() - started)
    return float(size) ** 3 / min(times)


def _timed(place: Path, setting: str | None = None) -> dict[str, Any]:
    """Seconds per sequence of a scan of zeros, and its effects; `setting`: the precision of every product."""
    _prepare(place, setting)
    program = _runner(place)(place)
    manifest = program.manifest
    names = [t["name"] for t in manifest["inputs"]]
    with np.load(place / "inputs.npz") as arrays:
        tensors = dict(zip(names, [arrays[k] for k in arrays.files], strict=True))
    shape = next(p["shape"] for p in manifest["details"]["modules"]["scan"]["inputs"] if p["name"] == "replacement")
    zeros = np.zeros(shape, np.float32)

    def seconds(call: Callable[..., Any]) -> float:
        started = time.perf_counter()
        call("scan", replacement=zeros, **tensors)
        return time.perf_counter() - started

    def on_device(*args: Any, **tensors: Any) -> None:
        for y in program.block(*args, **tensors):
            y.block_until_ready()

    first = seconds(on_device)
    second = statistics.median(seconds(on_device) for _ in range(_REPEATS))
    scores, references = program("scan", replacement=zeros, **tensors), program("reference", **tensors)
    effects = [(scores[k].astype(np.float64) - references[k][:, None]).ravel() for k in scores]
    batch = manifest["batch_size"]
    return {
        "batch": batch,
        "seconds": second / batch,
        "with_results_s": statistics.median(seconds(program) for _ in range(_REPEATS)) / batch,
        "compile_s": first - second,
        "effects": np.concatenate(effects),
    }


def _prepare(place: Path, setting: str | None) -> None:
    """Put the weights beside an export, and a precision into its modules."""
    manifest = json.loads((place / "manifest.json").read_text())
    if not (place / "weights.npz").exists():
        shapes = json.loads((place / "sizes.json").read_text())["weights"]
        weights = {w["key"]: drawn(w["path"], shapes[w["key"]]) for w in manifest["details"]["weights"]}
        np.savez(place / "weights.npz", **weights)
    for name in _TIMED if setting else ():
        path = place / manifest["details"]["modules"][name]["file"]
        text = path.read_text()
        for other in ("HIGHEST", "DEFAULT"):
            text = text.replace(f"precision = [{other}, {other}]", f"precision = [{setting}, {setting}]")
            text = text.replace(f"#stablehlo<precision {other}>", f"#stablehlo<precision {setting}>")
        path.write_text(text)


def _compared(effects: Array, truth: Array) -> dict[str, float]:
    """How effects differ from the true ones."""
    rms = float(np.sqrt(np.mean(truth**2)))
    return {
        "error_over_rms": float(np.abs(effects - truth).max()) / rms,
        "correlation": float(np.corrcoef(effects, truth)[0, 1]),
    }


def _runner(place: Path) -> Any:
    """The `Program` class of the runner that stands beside an export."""
    spec = importlib.util.spec_from_file_location("run_with_jax", place / "run_with_jax.py")
    if spec is None or spec.loader is None:
        raise FileNotFoundError(place / "run_with_jax.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Program


def table(rows: Sequence[dict[str, Any]]) -> str:
    """The device, and the results as a Markdown table."""
    columns = (
        "model",
        "precision",
        "program",
        "s/sequence",
        "with results",
        "against naive (plan)",
        "over floor",
        "error/rms",
    )
    lines = [rows[0]["device"], "", "| " + " | ".join((*columns, "correlation")) + " |", "|---" * 9 + "|"]
    for r in rows:
        plan = f" ({r['predicted']:.1f}x)" if "predicted" in r else ""
        lines.append(
            f"| {r['model']} | {r['precision']} | {r['program']} | {r['seconds']:.3g} | {r['with_results_s']:.3g} "
            f"| {r['speed_up']:.1f}x{plan} | {r['over_floor']:.2f} | {r['error_over_rms']:.1e} "
            f"| {r['correlation']:.7f} |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("export", "run"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--precisions", nargs="+", default=list(PRECISIONS), choices=PRECISIONS)
    parser.add_argument("--batch", type=int, help="sequences of a block (default: by model)")
    parser.add_argument("--tiny", action="store_true", help="two sequences of length 100, to try the script")
    parser.add_argument("--json", type=Path, help="also write the results here, row by row")
    options = parser.parse_args(arguments)
    if options.step == "export":
        export(options.folder, options.models, options.precisions, options.batch, options.tiny)
        return
    rows = []
    for row in run(options.folder, options.models, options.precisions):
        print(row, file=sys.stderr, flush=True)
        rows.append(row)
        if options.json:
            options.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
