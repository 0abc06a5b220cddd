"""Speed-up by a second dask worker: one scan by one worker and by two, each with one thread, in turn.

The clock covers all of a scan: reading, compiling (here and on every worker),
scoring, the store. Every store is compared, bit by bit, with that of a process
alone with one thread and the same block size.

python -m benchmarks.cluster                                  # Basset, 256 sequences
python -m benchmarks.cluster --model deepstarr --sequences 2000
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fastism_compiler as fc
from benchmarks.files import write_fasta

_BATCH = 8
_ROUNDS = 2


def measure(folder: Path, name: str, count: int) -> dict[str, Any]:
    """Seconds with one worker and with two, and whether all stores hold the same bits."""
    model = getattr(fc.models, name)()
    model.save(folder / "model.keras")
    write_fasta(folder / "in.fa", count, model.inputs[0].shape[1])
    scan_alone(folder, folder / "alone.zarr")
    alone = contents(folder / "alone.zarr")
    times: dict[int, list[float]] = {1: [], 2: []}
    equal = True
    for turn in range(_ROUNDS):
        for workers, mine in times.items():
            output = folder / f"{workers}_{turn}.zarr"
            mine.append(scan_on_cluster(folder, output, workers))
            equal &= alone == contents(output)
    one, two = (statistics.median(times[workers]) for workers in (1, 2))
    return {
        "model": name,
        "sequences": count,
        "one_worker_s": round(one, 2),
        "two_workers_s": round(two, 2),
        "speed_up": round(one / two, 3),
        "same_bits": equal,
    }


def contents(store: Path) -> dict[str, bytes]:
    """Bytes of every file of a store, by path; not the manifest beside it, which holds times."""
    return {str(f.relative_to(store)): f.read_bytes() for f in store.rglob("*") if f.is_file()}


def scan_on_cluster(folder: Path, output: Path, workers: int) -> float:
    """Seconds of a scan by fresh workers."""
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        started = time.perf_counter()
        fc.scan(
            str(folder / "model.keras"),
            folder / "in.fa",
            output,
            settings=fc.ScanSettings(batch_size=_BATCH),
            execution=fc.Execution(client=client, threads=1, verify=False),
        )
        return time.perf_counter() - started


def scan_alone(folder: Path, output: Path) -> None:
    """In a process of its own, because the threads of a process are set once."""
    files = [str(folder / "model.keras"), str(folder / "in.fa"), str(output)]
    options = ["--threads", "1", "--batch-size", str(_BATCH), "--no-verify", "--quiet"]
    subprocess.run([sys.executable, "-m", "fastism_compiler", "scan", *files, *options], check=True)


def main() -> None:
    """Print both times, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="basset")
    parser.add_argument("--sequences", type=int, default=256)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.model, options.sequences)
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
