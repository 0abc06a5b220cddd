"""Side by side with tangermeme 1.6.0: saturation mutagenesis of PyTorch models, same weights, same sequences, in turn.

Runs in the environment of `benchmarks.torch_environment`, which it builds on first use.

python -m benchmarks.peer_torch
python -m benchmarks.peer_torch --models basset --sequences 1 8 --json out.json

Their fast path is forced (by default, jobs under 30 seconds do not use it), with the best of several batch sizes;
their slow path, which scores every mutant whole, is timed on some positions. Ours is timed without compiling.
"""

from __future__ import annotations

import json
import sys
import time
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


def race(name: str, sequences: int) -> Race:
    """Time both on one model."""
    import torch
    from tangermeme import saturation_mutagenesis as theirs

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
    theirs._FAST_MIN_SECONDS = 0.0

    def ours() -> Any:
        return saturation_mutagenesis(network, x, **span)

    def fast(batch: int) -> Any:
        return theirs.saturation_mutagenesis(network, x, batch_size=batch, device="cpu", **span)

    compiled, first = _timed(ours)
    expected = fast(BATCHES[0])
    difference = float((first - expected).abs().max() / expected.abs().max())
    best = min([batch for batch in BATCHES if batch <= racer.most], key=lambda batch: _timed(lambda: fast(batch))[0])
    mine, other = [], []
    for _ in range(ROUNDS):
        mine.append(_timed(ours)[0] / sequences)
        other.append(_timed(lambda: fast(best))[0] / sequences)
    few = {**span, "end": start + min(_SLOW_POSITIONS, count)}
    whole = _timed(lambda: theirs.saturation_mutagenesis(network, x[:1], fast=False, device="cpu", **few))[0]
    slow = whole * count / min(_SLOW_POSITIONS, count)
    ratio = min(slow, *other) / min(mine)
    return Race(name, sequences, count, min(mine), compiled, min(other), best, slow, ratio, difference)


def _timed(call: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def table(races: list[dict[str, Any]]) -> str:
    """The races as a table."""
    names = ("model", "sequences", "positions", "tangermeme slow s", "fast s (batch)", "ours s", "ratio", "compile s",
             "difference")  # fmt: skip
    head = f"| {' | '.join(names)} |"
    rows = [
        f"| {r['model']} | {r['sequences']} | {r['positions']} | {r['slow_s']:.3g} | {r['fast_s']:.3g} "
        f"({r['batch_size']}) | {r['ours_s']:.3g} | {r['ratio']:.1f}x | {r['compile_s']:.3g} | {r['difference']:.1e} |"
        for r in races
    ]
    return "\n".join([head, "|" + "---|" * 9, *rows])


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
