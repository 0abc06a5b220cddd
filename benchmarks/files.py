"""Cost of file input and output: a scan from FASTA into a store, against the compiled program alone, in one process.

python -m benchmarks.files                                  # 2,000 sequences, Basset
python -m benchmarks.files --sequences 64 --model deepstarr
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import fastism_compiler as fc
from fastism_compiler.genomics.alphabet import ALPHABETS


def main() -> None:
    """Print both times, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="basset")
    parser.add_argument("--sequences", type=int, default=2000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.model, options.sequences, options.batch_size)
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


def measure(folder: Path, name: str, count: int, batch_size: int) -> dict[str, Any]:
    """Seconds of both sides, each from the model's file to the last number."""
    model = getattr(fc.models, name)()
    model.save(folder / "model.keras")
    length = model.inputs[0].shape[1]
    codes = write_fasta(folder / "in.fa", count, length)
    dna = ALPHABETS["dna"]

    def run_alone() -> None:
        program = fc.compile(str(folder / "model.keras"), batch_size=batch_size, verify=False)
        for begin in range(0, count, batch_size):
            program.saturate(dna.one_hot(codes[begin : begin + batch_size]))

    with clock() as before:
        run_alone()
    shown: list[int] = []
    with clock() as scan:
        summary = fc.scan(
            str(folder / "model.keras"),
            folder / "in.fa",
            folder / "out.zarr",
            settings=fc.ScanSettings(batch_size=batch_size),
            execution=fc.Execution(verify=False),
            progress=lambda done, _: shown.append(done),
        )
    with clock() as after:  # so that neither side gains by coming second
        run_alone()
    alone_s = (before[0] + after[0]) / 2
    return {
        "model": name,
        "sequences": count,
        "tasks": summary.tasks,
        "alone_s": round(alone_s, 2),
        "scan_s": round(scan[0], 2),
        "overhead": round(scan[0] / alone_s - 1, 4),
    }


def write_fasta(path: Path, count: int, length: int) -> np.ndarray[Any, Any]:
    """Random sequences; their codes `[count, length]`."""
    codes = np.random.default_rng(0).integers(0, 4, (count, length), dtype=np.uint8)
    with path.open("w") as file:
        for i, row in enumerate(codes):
            file.write(f">s{i}\n{ALPHABETS['dna'].text(row)}\n")
    return codes


@contextmanager
def clock() -> Iterator[list[float]]:
    """Wall seconds of a block, as the only item of a list."""
    seconds: list[float] = []
    started = time.perf_counter()
    yield seconds
    seconds.append(time.perf_counter() - started)


if __name__ == "__main__":
    main()
