"""Write the benchmarks page from `benchmarks/results/*.json`.

python -m docs.benchmarks [FOLDER]
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from docs.pages import FOLDER

RESULTS = FOLDER.parent / "benchmarks" / "results"

_INTRODUCTION = """# Benchmarks

This page is written by `python -m docs.benchmarks` from the files in `benchmarks/results/`, which the benchmarks
themselves wrote. Absolute times of different machines or runs are not comparable; ratios of one row are.
"""

_ABOUT = {
    "compare": """Published models with random weights. One zero mutation per position, seconds per sequence: the best
naive run (mutants made on the device, batched, with and without XLA, best batch size) against the compiled program,
and against two floors: the least multiply-adds over the machine's peak rate, and the same with each op at the rate its
own shape allows. In brackets behind the speed-up: what the plan had predicted.""",
    "fuzz": """Random models against naive ISM: `python -m benchmarks.fuzz`.""",
    "crested": """CREsted 1.10.0's `contribution_scores(method="mutagenesis")` of its own architectures, random weights,
one sequence: `python -m benchmarks.peer_crested`. Seconds; ours of a later call, and of the first, which compiles.""",
    "fuzz_files": """Damaged files of every kind: read or refused, and what was not damaged stayed the same:
`python -m benchmarks.fuzz_files`.""",
    "gpu": """Naive and compiled programs as StableHLO, through JAX on one GPU; seconds per sequence, results
left in GPU memory: `python -m benchmarks.gpu`.""",
    "profile": """Percentages of processor time by kind of work, sampled by `python -m benchmarks.profile`: products of
matrices, arranging their operands, the fused loops between them, threads that wait, copies.""",
    "sharing": """Seconds per sequence of one sequence alone and of eight at once, and `saturate` against three scans of
one alternate each (`bound`: what arithmetic alone allows): `python -m benchmarks.sharing`.""",
    "chains": """The first layers of Sei, narrower: seconds per scan with and without `compose-convolutions`, in turn in
one process, on a machine that had other work; `cpu` compares processor time: `python -m benchmarks.chains`.""",
    "peer": """fastISM 0.5.1 (TensorFlow 2.15, in an environment of its own) on the same weights and sequences, in turn;
seconds per sequence: `python -m benchmarks.peer`.""",
    "peer_torch": """tangermeme 1.6.0 on the same PyTorch models, weights and sequences, in turn; seconds per sequence
for every letter at the positions scanned: `python -m benchmarks.peer_torch`.""",
    "twins": """PyTorch models exported to ONNX beside the same architectures in Keras, in turn; seconds per sequence:
`python -m benchmarks.twins`.""",
    "precision": """Errors of effects where products are rounded: ours rounds differences, naive ISM rounds values.
Correlation with strict float32, and largest error over the root mean square effect:
`python -m benchmarks.precision`.""",
    "kernels": """Kernels worth trying for each plain convolution of five models, predicted (multiply-adds) and measured
(seconds per row): `python -m benchmarks.kernels`.""",
    "pairs": """Every pair of substitutions within 40 positions, `program.pairs` against the model on every double
mutant (naive time extrapolated from some): `python -m benchmarks.pairs`.""",
    "predictions": """Microseconds of a whole mutant and of a mutation in the program, as plans predict them and as
measured, for the models of the table and four transformers: `python -m benchmarks.predictions`.""",
    "tiles": """Seconds per sequence with the chosen number of rows per tile and with others, in turn; where a dense
kernel is read in parts, also with other numbers of parts: `python -m benchmarks.tiles`.""",
    "growth": """Streamed scans of longer and of more sequences, against naive ISM: `python -m benchmarks.growth`.""",
    "long": """Long models at full size: one sequence, central positions, against the model itself, whose time for all
of them is extrapolated from a few; memory besides what the model takes, compiling included:
`python -m benchmarks.long`.""",
    "memory": """Blocks planned for a budget, and what XLA sets aside for them: `python -m benchmarks.memory`.""",
    "artifacts": """Exported programs, each run by a process that imports its own runtime alone: largest error relative
to the largest output; ONNX Runtime's speed on one thread; what exporting a full-size model takes:
`python -m benchmarks.artifacts`.""",
    "files": """A scan from FASTA into a store, against the compiled program alone: `python -m benchmarks.files`.""",
    "crash": """The command line on a small model, killed at random moments (SIGKILL), with files that cannot grow,
with three processes on one store, and one program called by eight threads; the stores and converted files compared
byte by byte with those of an undisturbed run: `python -m benchmarks.crash`.""",
    "cluster": """A scan by one dask worker and by two, one thread each: `python -m benchmarks.cluster`.""",
    "faults": """Faults injected into the compiler on purpose, and whether the fuzzer caught them:
`python -m benchmarks.fuzz --faults`.""",
}


def page() -> str:
    """The page, one section per file of results."""
    parts = [_INTRODUCTION]
    for path in sorted(RESULTS.glob("*.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))
        render = _RENDERERS.get(path.stem, _facts)
        parts.append(f"## {path.stem.replace('_', ' ').capitalize()}\n")
        parts.append(_ABOUT[path.stem] + "\n")
        parts.append(render(rows) + "\n")
    return "\n".join(parts)


def _as_printed(name: str) -> Callable[[Any], str]:
    """The table that a benchmark prints itself."""

    def render(rows: list[dict[str, Any]]) -> str:
        benchmark = import_module(f"benchmarks.{name}")
        return str(benchmark.table([benchmark.Result(**row) for row in rows]))

    return render


def _facts(rows: Any) -> str:
    """A table of names and values; of records, one row each."""
    if isinstance(rows, list) and rows and all(isinstance(r, dict) for r in rows):
        heads = list(dict.fromkeys(key for row in rows for key in row))
        lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
        return "\n".join(lines + ["| " + " | ".join(_cell(row.get(h, "")) for h in heads) + " |" for row in rows])
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in _flat(rows))])


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield prefix, value
        return
    for key, inner in value.items():
        yield from _flat(inner, f"{prefix}: {key}" if prefix else str(key))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"{len(value)} (listed in the file)" if value else "none"
    return str(value).replace("|", "\\|").replace("\n", " ")


def _sections(content: dict[str, list[dict[str, Any]]]) -> str:
    parts = [f"**{name.replace('_', ' ').capitalize()}**\n\n{_facts(rows)}" for name, rows in content.items()]
    return "\n\n".join(parts)


def _growth(content: dict[str, list[dict[str, Any]]]) -> str:
    pictures = [f"![time against {over}](growth_{over}.png)" for over in ("length", "ranges", "sequences")]
    return "\n\n".join([*pictures, _sections(content)])


_RENDERERS: dict[str, Callable[[Any], str]] = {
    "compare": _as_printed("compare"),
    "long": _as_printed("long"),
    "growth": _growth,
    "artifacts": _sections,
}


def write(folder: Path) -> None:
    """Write the page into a folder, and the pictures that it shows."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.md").write_text(page(), encoding="utf-8")
    for picture in RESULTS.glob("*.png"):
        shutil.copy(picture, folder)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER / "generated")
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
