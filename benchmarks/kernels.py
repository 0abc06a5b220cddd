"""How well the cost model ranks kernels: predicted against measured, for convolutions of five published models.

python -m benchmarks.kernels
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

MODELS = ["basset", "factorized_basset", "bpnet", "deepstarr", "scbasset"]


@dataclass(frozen=True)
class Timed:
    """One kernel at one shape: predicted cost (multiply-adds) and measured seconds, both per row."""

    shape: str
    kernel: str
    predicted: float
    seconds: float


def time_candidates(model: Any, limit: float = 4.0) -> list[Timed]:
    """Time each distinct candidate: of contractions with several kernels, those within `limit` times the cheapest."""
    from fastism_compiler.ir.queries import kernels_for
    from fastism_compiler.passes.cost.kernels import candidate_for, predicted_cost

    import fastism_compiler as fc
    from fastism_compiler.planning.autotune import Timings, Tuner

    program = fc.compile(model, batch_size=8, verify=False)
    engine = program.engines[0]
    graph, context = engine.graph, engine.context
    tuner = Tuner(jit=True, precision="float32", timings=Timings(Path("/dev/null")))
    done: dict[Any, Timed] = {}
    for node in graph.nodes(fc.ir.Section.TILE):
        names = kernels_for(node) if node.facts.kernel is not None else ()
        if len(names) < 2:
            continue
        candidates = [candidate_for(node, k, context) for k in names]
        costs = {c: predicted_cost(c, context) for c in candidates}
        for c, cost in costs.items():
            if cost <= limit * min(costs.values()) and c not in done:
                window = node.operands[0].window.ranges.max_width
                s = c.shape
                shape = f"{window}x{s.channels} k{s.taps} d{s.dilation} -> {s.filters}"
                done[c] = Timed(shape, c.kernel, cost, tuner.kernel_seconds(c) / s.rows)
    return list(done.values())


def spearman(a: list[float], b: list[float]) -> float:
    """Rank correlation."""
    ranks = [np.argsort(np.argsort(x)) for x in (a, b)]
    return float(np.corrcoef(*ranks)[0, 1])


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    import fastism_compiler as fc

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args(arguments)
    timed = [t for name in options.models for t in time_candidates(getattr(fc.models, name)())]
    print(f"{'convolution':28} {'kernel':14} {'predicted':>12} {'us per row':>12}")
    for t in timed:
        print(f"{t.shape:28} {t.kernel:14} {t.predicted:12.3g} {t.seconds * 1e6:12.3g}")
    shapes = {t.shape for t in timed}
    best = [min((t for t in timed if t.shape == s), key=lambda t: t.seconds) for s in shapes]
    chosen = [min((t for t in timed if t.shape == s), key=lambda t: t.predicted) for s in shapes]
    loss = np.mean([c.seconds / b.seconds for b, c in zip(best, chosen, strict=True)]) - 1
    rank = spearman([t.predicted for t in timed], [t.seconds for t in timed])
    right = sum(b is c for b, c in zip(best, chosen, strict=True))
    print(f"Spearman {rank:.3f} over {len(timed)} candidates")
    print(
        f"the fastest kernel is chosen for {right} of {len(shapes)} shapes; prediction costs {100 * loss:.1f} % of time"
    )
    if options.json:
        options.json.write_text(json.dumps([asdict(t) for t in timed], indent=2) + "\n")


if __name__ == "__main__":
    main()
