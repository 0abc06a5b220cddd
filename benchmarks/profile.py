"""Where the time of a compiled program goes on a CPU, by `perf`: products, packing, fused loops, waiting.

Needs Linux's `perf`, which slows lanes down while it follows their threads: seconds and `busy` (processor time over
wall time and cores) are taken before it is attached. Shares are of processor time.

python -m benchmarks.profile
python -m benchmarks.profile --models bpnet deepstarr --batch 1 --json out.json
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MODELS = ("basset", "factorized_basset", "bpnet", "beluga", "deepstarr", "chrombpnet")
ALONE = ("basset", "deepstarr")
"""Models that are sampled with one sequence too, where a call's own cost shows."""
_SECONDS = 6

KINDS = (
    ("products", r"ynn::dot_|run_dot|gebp|sgemm|dnnl|mkldnn"),
    ("packing", r"interleave|transpose_x|gemm_pack|packer"),
    (
        "waiting and scheduling",
        r"RunQueue|ThreadPool|EventCount|tsl::thread|futex|spin_unlock|finish_task_switch|sched",
    ),
    ("copies and allocation", r"memmove|memcpy|memset|malloc|_int_free|clear_page|page_fault"),
    ("Python", r"python"),
    ("fused loops", r"\[JIT\]"),
)
"""Kind and pattern; a symbol (with its object file) counts as the first kind whose pattern matches."""


@dataclass(frozen=True)
class Profile:
    """Shares of processor time of one model's scan."""

    model: str
    batch: int
    seconds_per_sequence: float
    busy: float
    shares: dict[str, float]


def kind_of(symbol: str) -> str:
    """The kind that a line of perf's report belongs to."""
    return next((name for name, pattern in KINDS if re.search(pattern, symbol)), "the rest")


def shares(report: str) -> dict[str, float]:
    """Percentages by kind, from `perf report --stdio --sort dso,symbol`."""
    total: dict[str, float] = {name: 0.0 for name, _ in KINDS} | {"the rest": 0.0}
    for line in report.splitlines():
        match = re.match(r"\s*([\d.]+)%\s+(.*)", line)
        if match:
            total[kind_of(match[2])] += float(match[1])
    return total


def profile(model: str, batch: int) -> Profile:
    """Run the model's scan in a child process, and sample it."""
    with tempfile.TemporaryDirectory() as folder:
        data = str(Path(folder) / "perf.data")
        command = [sys.executable, "-m", "benchmarks.profile", "--child", model, str(batch)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            if child.stdin is None or child.stdout is None or child.stdout.readline() != "ready\n":
                raise SystemExit(f"{model}: the child did not start")
            record = ["perf", "record", "-q", "-o", data, "-p", str(child.pid), "--", "sleep", str(_SECONDS - 1)]
            child.stdin.write("go\n")
            child.stdin.flush()
            subprocess.run(record, check=True, capture_output=True)
            result = json.loads(child.stdout.readline())
        report = ["perf", "report", "-i", data, "--stdio", "--sort", "dso,symbol"]
        text = subprocess.run(report, check=True, capture_output=True, text=True).stdout
    return Profile(model, batch, result["seconds"], result["busy"], shares(text))


def run_child(name: str, batch: int) -> None:
    """Compile and time a scan, print `ready`, wait for a line, scan for `_SECONDS`, and print the result."""
    import fastism_compiler as fc
    from benchmarks.compare import CASES, inputs_for

    case = CASES[name]
    model: Any = getattr(fc.models, name)(**case.build)
    inputs = inputs_for(model, batch)
    x = inputs if len(inputs) > 1 else inputs[0]
    program = fc.compile(model, batch_size=batch, verify=False, **case.options)
    program(x)
    calls, started, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - started < _SECONDS / 2:
        program(x)
        calls += 1
    wall = time.perf_counter() - started
    busy = (time.process_time() - used) / wall / len(os.sched_getaffinity(0))
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.perf_counter() + _SECONDS
    while time.perf_counter() < until:
        program(x)
    print(json.dumps({"seconds": wall / calls / batch, "busy": busy}), flush=True)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--batch", type=int, help="sequences per call (default: the table's, and one for some)")
    parser.add_argument("--child", nargs=2, metavar=("MODEL", "BATCH"), help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args(arguments)
    if options.child:
        run_child(options.child[0], int(options.child[1]))
        return
    if shutil.which("perf") is None:
        raise SystemExit("this benchmark needs perf, which comes with Linux (package linux-perf or linux-tools)")
    from benchmarks.compare import CASES

    kinds = [name for name, _ in KINDS] + ["the rest"]
    print("| model | batch | s/seq | busy | " + " | ".join(kinds) + " |\n|" + "---|" * (4 + len(kinds)))
    found = []
    if options.batch:
        runs = [(name, options.batch) for name in options.models]
    else:
        runs = [(name, CASES[name].batch) for name in options.models]
        runs += [(name, 1) for name in options.models if name in ALONE]
    for name, batch in runs:
        found.append(profile(name, batch))
        p = found[-1]
        cells = " | ".join(f"{p.shares[k]:.0f} %" for k in kinds)
        print(f"| {p.model} | {p.batch} | {p.seconds_per_sequence:.3g} | {100 * p.busy:.0f} % | {cells} |", flush=True)
    if options.json:
        rows = [{**{k: v for k, v in asdict(p).items() if k != "shares"}, **p.shares} for p in found]
        options.json.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
