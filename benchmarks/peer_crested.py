"""Side by side with CREsted 1.10.0: `contribution_scores(method="mutagenesis")` of its own architectures.

CREsted brings many packages, so it runs in an environment of its own (`.venv-crested`, about 2 GB), which this script
builds on first use. Both sides score the same model in one process, in turn: one sequence, every substitution, CREsted
with its better batch size of 128 and 512. Its dilated architectures take an hour so; there, `model.predict` is timed on
128 mutants drawn at random, and CREsted's time is what all of them would take at that rate, which leaves out its own
work around the model. Basenji, Enformer and Borzoi of its zoo are left out: our side of them takes hours, too.

python -m benchmarks.peer_crested
python -m benchmarks.peer_crested --models simple_convnet --json out.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.environments import python_of
from benchmarks.markdown import markdown

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".venv-crested"
PINNED = ("crested==1.10.0", "tensorflow")
LENGTHS = {
    "simple_convnet": 500,
    "deeptopic_cnn": 500,
    "deeptopic_lstm": 500,
    "legnet": 230,
    "dilated_cnn": 2114,
    "dilated_cnn_decoupled": 2114,
}
"""Letters that each architecture reads here: those of CREsted's own models and tutorials, where there are such."""
CLASSES = 19
SAMPLED = ("dilated_cnn", "dilated_cnn_decoupled")
"""Architectures of which CREsted's side is timed on a sample of mutants."""
_SAMPLE = 128
_BATCHES = (128, 512)
_ROUNDS, _LONG = 2, 60
"""Rounds; one is enough of what takes longer than so many seconds."""
_INSIDE = "--inside"


@dataclass(frozen=True)
class Row:
    """One architecture: seconds of one sequence.

    Attributes:
        model: its name in `crested.tl.zoo`.
        length: letters.
        crested_s: CREsted, its better batch size; extrapolated, where `sampled` is not 0.
        batch: that size.
        sampled: mutants that its time, and the error, are taken from; 0: all.
        first_s: our first call, which compiles.
        ours_s: a later call.
        speed_up: `crested_s / ours_s`.
        error: largest difference of scores, relative to the largest score.
    """

    model: str
    length: int
    crested_s: float
    batch: int
    first_s: float
    ours_s: float
    speed_up: float
    error: float
    sampled: int = 0


def environment(folder: Path = FOLDER) -> Path:
    """The Python of an environment with CREsted and this checkout; built if it is not there."""
    return python_of(folder, PINNED, str(ROOT))


def measure(name: str, length: int) -> Row:
    """Both sides on one architecture, in turn."""
    import crested.tl
    import keras

    from fastism_compiler.crested import contribution_scores
    from fastism_compiler.models.randomize import randomize

    keras.utils.set_random_seed(0)
    model = randomize(getattr(crested.tl.zoo, name)(length, CLASSES))  # as new, effects drown in rounding
    sequence = "".join(np.random.default_rng(0).choice(list("ACGT"), length))
    if name in SAMPLED:
        return _measure_sampled(name, model, sequence)

    def theirs(batch: int) -> Any:
        options = {"method": "mutagenesis", "batch_size": batch, "verbose": False}
        return crested.tl.contribution_scores(sequence, 0, model, **options)[0]

    def ours() -> Any:
        return contribution_scores(sequence, 0, model, method="mutagenesis", verbose=False)[0]

    first_s, scores = _seconds(ours)
    warm_s, expected = _seconds(lambda: theirs(_BATCHES[0]))
    rounds = _ROUNDS if warm_s < _LONG else 1
    times, ours_s = dict.fromkeys(_BATCHES, np.inf), np.inf
    for _ in range(rounds):
        for batch in _BATCHES:
            times[batch] = min(times[batch], _seconds(lambda b=batch: theirs(b))[0])
            ours_s = min(ours_s, _seconds(ours)[0])
    batch = min(times, key=times.__getitem__)
    error = float(np.abs(scores - expected).max() / np.abs(expected).max())
    return Row(name, length, times[batch], batch, first_s, ours_s, times[batch] / ours_s, error)


def _measure_sampled(name: str, model: Any, sequence: str) -> Row:
    """Our side whole; of CREsted's, what its calls of the model take, from some of the mutants."""
    from fastism_compiler.crested import contribution_scores

    x = np.eye(4, dtype="float32")[["ACGT".index(letter) for letter in sequence]]
    rng = np.random.default_rng(1)
    positions, letters = rng.integers(0, len(x), _SAMPLE), rng.integers(0, 4, _SAMPLE)
    mutants = np.repeat(x[None], _SAMPLE, axis=0)
    mutants[np.arange(_SAMPLE), positions] = np.eye(4, dtype="float32")[letters]

    def predict(rows: Any) -> Any:
        return model.predict(rows, verbose=0, batch_size=_SAMPLE)[:, 0]

    def ours() -> Any:
        return contribution_scores(sequence, 0, model, method="mutagenesis", verbose=False)[0]

    expected = predict(mutants) - predict(x[None])
    first_s, scores = _seconds(ours)
    sample_s, ours_s = _seconds(lambda: predict(mutants))[0], _seconds(ours)[0]
    sample_s = min(sample_s, _seconds(lambda: predict(mutants))[0])
    crested_s = sample_s * 4 * len(x) / _SAMPLE
    error = float(np.abs(scores.reshape(-1, 4)[positions, letters] - expected).max() / np.abs(expected).max())
    return Row(name, len(x), crested_s, _SAMPLE, first_s, ours_s, crested_s / ours_s, error, _SAMPLE)


def _seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    result = call()
    return time.perf_counter() - started, result


def table(rows: list[Row]) -> str:
    """The rows as a Markdown table."""
    head = "| model | letters | CREsted s | its batch | ours s (first call) | speed-up | error / largest score |"
    cells = [
        [r.model, r.length, f"{r.crested_s:.3g}" + " (of a sample)" * bool(r.sampled), r.batch,
         f"{r.ours_s:.3g} ({r.first_s:.3g})", f"{r.speed_up:.1f}x", f"{r.error:.1e}"]
        for r in rows
    ]  # fmt: skip
    return markdown(head, cells)


def _rows(models: list[str]) -> Iterator[Row]:
    """One process with CREsted for each model."""
    command = [str(environment()), "-m", "benchmarks.peer_crested", _INSIDE]
    for name in models:
        done = subprocess.run(
            [*command, name], cwd=ROOT, env={**os.environ, "KERAS_BACKEND": "tensorflow"}, capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name} failed:\n{done.stderr[-3000:]}")
        yield Row(**json.loads(done.stdout.splitlines()[-1]))


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=tuple(LENGTHS), default=tuple(LENGTHS))
    parser.add_argument("--json", type=Path)
    parser.add_argument(_INSIDE, choices=tuple(LENGTHS), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.inside:
        print(json.dumps(asdict(measure(options.inside, LENGTHS[options.inside]))))
        return
    rows = []
    for row in _rows(list(options.models)):
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
        if options.json:
            options.json.write_text(json.dumps([asdict(r) for r in rows], indent=2) + "\n")
    print(table(rows))


if __name__ == "__main__":
    main()
