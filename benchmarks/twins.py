"""PyTorch models, exported to ONNX, beside the same architectures written in Keras: saturation, in turn.

Runs in the environment of `benchmarks.torch_environment`, which it builds on first use. The weights are random on both
sides; the arithmetic is the same, which the last column shows (multiply-adds of naive ISM, PyTorch over Keras).

python -m benchmarks.twins
python -m benchmarks.twins --models basset --sequences 1 8 --json out.json
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np

from benchmarks.markdown import markdown
from benchmarks.torch_environment import options_there

_ROUNDS, _SECONDS = 3, 2.0
"""Rounds, and how long one lasts at least: scans of milliseconds are repeated."""


@dataclass(frozen=True)
class Twins:
    """One architecture, seconds per sequence for every letter at every position scanned; the least of some rounds.

    Attributes:
        model, sequences, positions: what was scanned.
        torch_s: the exported PyTorch model.
        keras_s: the Keras model.
        ratio: `torch_s` over `keras_s`.
        arithmetic: the same ratio of the multiply-adds of naive ISM.
    """

    model: str
    sequences: int
    positions: int
    torch_s: float
    keras_s: float
    ratio: float
    arithmetic: float


def _keras_models() -> Mapping[str, Callable[[], Any]]:
    """Those of `RACERS` that `fc.models` has with the same layers."""
    import fastism_compiler as fc

    return {
        "deepstarr": fc.models.deepstarr,
        "basset": partial(fc.models.basset, length=600, outputs=164),
        "beluga": fc.models.beluga,
        "spliceai": partial(fc.models.spliceai, length=10_101, crop=5000),
    }


def compare(name: str, sequences: int) -> Twins:
    """Time both."""
    import torch

    import fastism_compiler as fc
    from benchmarks.torch_models.full_size import RACERS

    racer = RACERS[name]
    count = racer.positions or racer.length
    start = (racer.length - count) // 2
    ranges = [(i, i + 1) for i in range(start, start + count)]
    letters = np.random.default_rng(0).integers(0, 4, (sequences, racer.length))
    x = np.eye(4, dtype="float32")[letters]
    theirs = fc.from_torch(racer.make().eval(), torch.from_numpy(x[:1]).permute(0, 2, 1), ranges=ranges, verify=False)
    ours = fc.compile(_keras_models()[name](), ranges=ranges, verify=False)
    first = np.ascontiguousarray(x.transpose(0, 2, 1))
    calls = [partial(theirs.program.saturate, first), partial(ours.saturate, x)]
    seconds = _in_turn(calls)
    arithmetic = theirs.plan.naive_multiply_adds / ours.plan.naive_multiply_adds
    torch_s, keras_s = (s / sequences for s in seconds)
    return Twins(name, sequences, count, torch_s, keras_s, torch_s / keras_s, arithmetic)


def _in_turn(calls: list[Callable[[], Any]]) -> list[float]:
    """The least seconds of each call, compiled before."""
    least = [float("inf")] * len(calls)
    for call in calls:
        call()
    for _ in range(_ROUNDS):
        for k, call in enumerate(calls):
            began, done = time.perf_counter(), 0
            while not done or time.perf_counter() - began < _SECONDS:
                started = time.perf_counter()
                call()
                least[k], done = min(least[k], time.perf_counter() - started), done + 1
    return least


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    given = sys.argv[1:] if arguments is None else arguments
    options = options_there("benchmarks.twins", __doc__, "some of deepstarr, basset, beluga and spliceai", given)
    rows = [asdict(compare(n, count)) for n in options.models or _keras_models() for count in options.sequences]
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    return 0


def table(rows: list[dict[str, Any]]) -> str:
    """The pairs as a table."""
    head = "| model | sequences | positions | PyTorch s | Keras s | ratio | arithmetic |"
    return markdown(
        head,
        [
            (r["model"], r["sequences"], r["positions"], f"{r['torch_s']:.3g}", f"{r['keras_s']:.3g}",
             f"{r['ratio']:.2f}", f"{r['arithmetic']:.3f}")
            for r in rows
        ],
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
