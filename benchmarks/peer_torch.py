"""Side by side with tangermeme 1.6.0: saturation mutagenesis of PyTorch models, same weights, same sequences, in turn.

Runs in the environment of `benchmarks.torch_environment`, which it builds on first use.

python -m benchmarks.peer_torch
python -m benchmarks.peer_torch --models basset --sequences 1 8 --json out.json

Their fast path is forced: by default, jobs under 30 seconds do not use it, nor models where its first batch took longer
than the slow path's. It runs with the best of several batch sizes; each call captures and checks the model anew, as it
does for its users. Their slow path, which scores every mutant whole, is timed on a few positions in the middle. Ours is
timed without compiling. The attributions of all three are judged by the same model in float64, at those positions.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.torch_environment import options_there

BATCHES = (32, 128, 512, 1024)
ROUNDS = 2
_SLOW_POSITIONS = 8


@dataclass(frozen=True)
class Race:
    """One model, seconds per sequence for every letter at every position scanned.

    Attributes:
        model, sequences, positions: what was scanned.
        ours_s: here, once compiled.
        compile_s: seconds in all of compiling and the first call.
        fast_s: tangermeme's fast path with the best batch size.
        batch_size: that batch size.
        slow_s: tangermeme's slow path, extrapolated from some positions.
        ratio: the faster of theirs over `ours_s`.
        difference: largest difference of attributions, over the largest attribution.
        ours_error, fast_error, slow_error: at the positions of the slow path, largest difference from the attributions
            of the model in float64, over the largest of those.
    """

    model: str
    sequences: int
    positions: int
    ours_s: float
    compile_s: float
    fast_s: float
    batch_size: int
    slow_s: float
    ratio: float
    difference: float
    ours_error: float
    fast_error: float
    slow_error: float


def race(name: str, sequences: int) -> Race:
    """Time both on one model."""
    import torch

    from benchmarks.torch_models.full_size import RACERS
    from fastism_compiler.torch import saturation_mutagenesis

    racer = RACERS[name]
    torch.manual_seed(0)
    network = racer.make().eval()
    letters = torch.randint(0, 4, (sequences, racer.length))
    x = torch.nn.functional.one_hot(letters, 4).permute(0, 2, 1).float()
    count = racer.positions or racer.length
    start = (racer.length - count) // 2
    span: dict[str, Any] = {"start": start, "end": start + count, "func": racer.func, "hypothetical": True}
    peer = _forced()

    def ours() -> Any:
        return saturation_mutagenesis(network, x, **span)

    def fast(batch: int) -> Any:
        return peer(network, x, batch_size=batch, device="cpu", **span)

    compiled, first = _timed(ours)
    expected = fast(BATCHES[0])
    best = min([batch for batch in BATCHES if batch <= racer.most], key=lambda batch: _timed(lambda: fast(batch))[0])
    mine, other = [], []
    for _ in range(ROUNDS):
        mine.append(_timed(ours)[0] / sequences)
        other.append(_timed(lambda: fast(best))[0] / sequences)
    some = min(_SLOW_POSITIONS, count)
    skipped = (count - some) // 2
    begin = start + skipped
    whole: dict[str, Any] = {**span, "start": begin, "end": begin + some, "fast": False, "device": "cpu"}
    seconds, slow = _timed(lambda: peer(network, x[:1], **whole))
    exact = peer(copy.deepcopy(network).double(), x[:1].double(), **whole)
    slow_s = seconds * count / some
    ratio = min(slow_s, *other) / min(mine)
    errors = [_difference(y[:1, :, skipped:][..., :some], exact) for y in (first, expected)]
    errors.append(_difference(slow, exact))
    seconds_each = min(mine), compiled, min(other), best, slow_s
    return Race(name, sequences, count, *seconds_each, ratio, _difference(first, expected), *errors)


def _forced() -> Callable[..., Any]:
    """Tangermeme's function, which takes its fast path wherever that agrees with its slow path.

    A model that its fast path refuses is an error: that would be the slow path, timed twice.
    """
    import warnings

    from tangermeme import saturation_mutagenesis as theirs

    theirs._FAST_MIN_SECONDS, theirs._FAST_MAX_RELATIVE_TIME = 0.0, float("inf")
    warnings.filterwarnings("error", message="saturation_mutagenesis is using fast=False")
    function: Callable[..., Any] = theirs.saturation_mutagenesis
    return function


def _difference(one: Any, other: Any) -> float:
    return float((one - other).abs().max() / other.abs().max())


def _timed(call: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def table(races: list[dict[str, Any]]) -> str:
    """The races as a table."""
    names = ("model", "sequences", "positions", "tangermeme slow s", "fast s (batch)", "ours s", "ratio", "compile s",
             "difference", "error ours, fast, slow")  # fmt: skip
    head = f"| {' | '.join(names)} |"
    rows = [
        f"| {r['model']} | {r['sequences']} | {r['positions']} | {r['slow_s']:.3g} | {r['fast_s']:.3g} "
        f"({r['batch_size']}) | {r['ours_s']:.3g} | {r['ratio']:.1f}x | {r['compile_s']:.3g} | {r['difference']:.1e} | "
        f"{r['ours_error']:.1e}, {r['fast_error']:.1e}, {r['slow_error']:.1e} |"
        for r in races
    ]
    return "\n".join([head, "|" + "---|" * 10, *rows])


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    given = sys.argv[1:] if arguments is None else arguments
    options = options_there("benchmarks.peer_torch", __doc__, "names of the table in torch_models/full_size.py", given)
    from benchmarks.torch_models.full_size import RACERS  # PyTorch

    races = []
    for name in options.models or RACERS:
        for sequences in options.sequences:
            races.append(asdict(race(name, sequences)))
            print(table(races[-1:]).splitlines()[-1], file=sys.stderr, flush=True)
    print(table(races))
    if options.json:
        options.json.write_text(json.dumps(races, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
