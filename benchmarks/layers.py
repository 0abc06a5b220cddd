"""Where a compiled program spends its time, step by step: each with its layer, its shape, and the rate of its products.

XLA's CPU runtime reports every step it runs to TensorFlow's profiler, and its dump says what the step is. Lanes run
beside each other, so times are of all lanes together. Tracing adds to each step, and most to small ones.

python -m benchmarks.layers bpnet
python -m benchmarks.layers spliceai --ranges 40 --most 30
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_RANGES = 200
_INSTRUCTION = re.compile(r"^\s*(?:ROOT )?%(\S+) = \w+\[([\d,]*)\]\S* (\S+?)\((.*)$")
_CONTRACTED = re.compile(r"lhs_contracting_dims={(\d+)}")
_LAYER = re.compile(r'op_name="[^"]*layer\.([^/"]+)')


@dataclass(frozen=True)
class Step:
    """One instruction of the program that XLA compiled.

    Attributes:
        kind: what XLA calls it: `dot`, `fusion`, `copy`.
        layer: the Keras layer that it computes.
        shape: of its result.
        multiply_adds: of a product; 0 for anything else.
    """

    kind: str
    layer: str
    shape: tuple[int, ...]
    multiply_adds: int


def steps_of(text: str) -> dict[str, Step]:
    """The instructions of an HLO module by name."""
    lines = [match for match in map(_INSTRUCTION.match, text.splitlines()) if match]
    shapes = {line[1]: _numbers(line[2]) for line in lines}
    steps = {}
    for name, _, kind, rest in (line.groups() for line in lines):
        layer, contracted = _LAYER.search(rest), _CONTRACTED.search(rest)
        products = 0
        if kind == "dot" and contracted:
            left = shapes.get(rest.split(",")[0].lstrip("%"), ())
            products = math.prod(shapes[name]) * (left[int(contracted[1])] if left else 0)
        steps[name] = Step(kind, layer[1] if layer else "", shapes[name], products)
    return steps


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(n) for n in text.split(",") if n)


def table(steps: dict[str, Step], times: dict[str, float], calls: dict[str, int], most: int) -> str:
    """The steps that take longest, as rows of a Markdown table; times in seconds."""
    known = {name: seconds for name, seconds in times.items() if name in steps and steps[name].kind != "while"}
    total = sum(known.values())
    rows = ["| share | calls | us a call | step | layer | shape | GMAC/s |", "|---|---|---|---|---|---|---|"]
    for name, seconds in sorted(known.items(), key=lambda item: -item[1])[:most]:
        step, each = steps[name], seconds / calls[name]
        rate = f"{step.multiply_adds / each / 1e9:.0f}" if step.multiply_adds else ""
        shape = "x".join(map(str, step.shape))
        share = f"{100 * seconds / total:.1f} %"
        rows.append(f"| {share} | {calls[name]} | {1e6 * each:.0f} | {step.kind} | {step.layer} | {shape} | {rate} |")
    return "\n".join(rows)


def events(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """Seconds and calls of everything in a trace, by name."""
    from tensorflow.tsl.profiler.protobuf.xplane_pb2 import XSpace

    (path,) = folder.rglob("*.xplane.pb")
    space = XSpace.FromString(path.read_bytes())
    times: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for plane in space.planes:
        names = {key: meta.name for key, meta in plane.event_metadata.items()}
        for event in (e for line in plane.lines for e in line.events):
            times[names[event.metadata_id]] += event.duration_ps / 1e12
            calls[names[event.metadata_id]] += 1
    return times, calls


def run_child(name: str, ranges: int, most: int, folder: Path) -> None:
    """Compile, trace one scan, and print the table; XLA dumps what it compiles into `folder`."""
    import tensorflow as tf

    import fastism_compiler as fc
    from benchmarks.compare import CASES, inputs_for

    case = CASES[name]
    model: Any = getattr(fc.models, name)(**case.build)
    inputs = inputs_for(model, case.batch)
    x = inputs if len(inputs) > 1 else inputs[0]
    length = inputs[0].shape[1]
    chosen = [(i, i + 1) for i in range(0, length, max(length // ranges, 1))]
    program = fc.compile(model, ranges=chosen, batch_size=case.batch, verify=False, **case.options)
    program(x)
    trace = folder / "trace"
    options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3, python_tracer_level=0)
    with tf.profiler.experimental.Profile(str(trace), options):
        program(x)
    # the scan is the largest module by far
    dumps = sorted(folder.glob("*after_optimizations.txt"), key=lambda path: path.stat().st_size)
    print(table(steps_of(dumps[-1].read_text()), *events(trace), most))


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    from benchmarks.compare import CASES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=list(CASES))
    parser.add_argument("--ranges", type=int, default=_RANGES, help="positions to mutate, evenly over the sequence")
    parser.add_argument("--most", type=int, default=20, help="rows of the table")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        run_child(options.model, options.ranges, options.most, options.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.layers", options.model]
        command += ["--ranges", str(options.ranges), "--most", str(options.most), "--child", folder]
        flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_dump_to={folder} --xla_dump_hlo_as_text"
        subprocess.run(command, check=True, env={**os.environ, "XLA_FLAGS": flags})


if __name__ == "__main__":
    main()
