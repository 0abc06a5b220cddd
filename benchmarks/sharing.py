"""Work shared by sequences and alternates: batch 1 against 8, `saturate` against three scans of one alternate each.

Both sides of a ratio take turns, so that they see the same machine. Three scans
repeat what `saturate` does once: the reference pass, and the reads of its windows. `bound` is what arithmetic
alone allows: three scans less two reference passes, over three scans.

python -m benchmarks.sharing
python -m benchmarks.sharing --models deepstarr --json out.json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.compare import CASES, inputs_for
from benchmarks.timing import turns

MODELS = ("basset", "factorized_basset", "bpnet", "deepstarr")
_BATCH = 8
_SATURATED = 2


@dataclass(frozen=True)
class Shared:
    """One model; seconds per sequence of one zero mutation per position, and ratios of them.

    `saturate_over_three` is of two sequences.
    """

    model: str
    alone_s: float
    batch_s: float
    alone_over_batch: float
    saturate_over_three: float
    bound: float


def measure(name: str) -> Shared:
    """Both ratios of one model."""
    from fastism_compiler.passes.cost.programs import reference_cost

    import fastism_compiler as fc
    from fastism_compiler.planning.buckets import scan_cost

    model = getattr(fc.models, name)(**CASES[name].build)
    inputs = inputs_for(model, _BATCH)
    one, few, eight = (x if len(x) > 1 else x[0] for x in ([i[:n] for i in inputs] for n in (1, _SATURATED, _BATCH)))
    alone = fc.compile(model, batch_size=1, verify=False)
    program = fc.compile(model, batch_size=_BATCH, verify=False)
    some = fc.compile(model, batch_size=_SATURATED, verify=False)
    letters = np.eye(inputs[0].shape[2], dtype=np.float32)

    def three_scans() -> None:
        for letter in letters[:-1]:
            some(few, letter)

    alone_s, batch_s = turns(lambda: alone(one), lambda: program(eight))
    saturated_s, three_s = turns(lambda: some.saturate(few), three_scans)
    (engine,) = some.engines
    one_sequence = replace(engine.context, batch_size=1)
    share = reference_cost(engine.graph, one_sequence) / scan_cost(engine.graph, one_sequence)
    return Shared(
        name,
        alone_s,
        batch_s / _BATCH,
        alone_s / (batch_s / _BATCH),
        saturated_s / three_s,
        1 - 2 / 3 * share,
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(CASES))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    rows = []
    for name in options.models:
        rows.append(measure(name))
        print(rows[-1], flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
