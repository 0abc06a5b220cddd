"""Side by side with fastISM 0.5.1, the predecessor, on the same weights and sequences, in turn.

fastISM stopped at Keras 2, so it runs in an environment of its own, which this
script builds on first use (`--env`, about 1 GB; Python 3.11).

python -m benchmarks.peer
python -m benchmarks.peer --models basset --batch 8 64 --json out.json
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare import inputs_for
from benchmarks.environments import python_of
from benchmarks.timing import seconds

PINNED = ("fastism==0.5.1", "tensorflow-cpu==2.15.1", "numpy<2", "networkx")
MODELS = ("basset", "factorized_basset", "bpnet", "beluga")
ROOT = Path(__file__).parent.parent
_ROUNDS = 2


@dataclass(frozen=True)
class Duel:
    """One model at one batch size: seconds per sequence of one zero mutation per position."""

    model: str
    batch: int
    ours_s: float
    fastism_s: float
    ratio: float
    difference: float


class Peer:
    """A process with fastISM in it that answers one JSON line per request."""

    def __init__(self, python: Path) -> None:
        command = [str(python), str(ROOT / "benchmarks" / "peer_child.py"), str(ROOT)]
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed with the process)
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the peer has no pipes")
        answer = ""
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        if not answer:
            self._said.seek(0)
            raise RuntimeError(f"the peer stopped at {request}:\n{self._said.read()[-2000:]}")
        return dict(json.loads(answer))

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()
        self._said.close()


def environment(folder: Path) -> Path:
    """The Python of an environment with fastISM; built if it is not there.

    Raises:
        SystemExit: this is not Python 3.11, for which fastISM's TensorFlow has wheels.
    """
    if not (folder / "installed").exists() and sys.version_info[:2] != (3, 11):
        raise SystemExit("fastISM's TensorFlow 2.15 needs Python 3.11")
    return python_of(folder, PINNED)


def duel(peer: Peer, name: str, batch: int, folder: Path) -> Duel:
    """Time both on one model, in turn; best of the rounds for each."""
    import fastism_compiler as fc

    model = getattr(fc.models, name)()
    (x,) = inputs_for(model, batch)
    np.savez(folder / "weights.npz", *model.get_weights())
    np.save(folder / "x.npy", x)
    program = fc.compile(model, batch_size=min(batch, 32), verify=False)
    scores = _flat(program(x))
    answer = peer.ask(model=name, weights=str(folder / "weights.npz"), x=str(folder / "x.npy"), out=str(folder))
    theirs = [np.load(folder / f"scores{k}.npy") for k in range(answer["outputs"])]
    difference = max(float(np.abs(a.reshape(b.shape) - b).max()) for a, b in zip(scores, theirs, strict=True))
    ours, fastism = [], []
    for _ in range(_ROUNDS):
        ours.append(seconds(lambda: program(x), repeats=1, warm_up=0) / batch)
        fastism.append(peer.ask(time=True)["seconds"] / batch)
    return Duel(name, batch, min(ours), min(fastism), min(fastism) / min(ours), difference)


def _flat(outputs: Any) -> list[Any]:
    return list(outputs) if isinstance(outputs, list | tuple) else [outputs]


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--batch", nargs="+", type=int, default=[8, 64])
    parser.add_argument("--env", type=Path, default=ROOT / ".venv-fastism", help="environment to build or use")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args(arguments)
    python = environment(options.env)
    duels = []
    for name in options.models:
        for batch in options.batch:
            peer = Peer(python)
            with tempfile.TemporaryDirectory() as folder:
                duels.append(duel(peer, name, batch, Path(folder)))
            peer.close()
            print(duels[-1], file=sys.stderr, flush=True)
    print(
        "| model | batch | fastISM 0.5.1 s/seq | ours s/seq | ratio | largest difference |\n|---|---|---|---|---|---|"
    )
    for d in duels:
        print(f"| {d.model} | {d.batch} | {d.fastism_s:.3g} | {d.ours_s:.3g} | {d.ratio:.1f}x | {d.difference:.1e} |")
    if options.json:
        options.json.write_text(json.dumps([asdict(d) for d in duels], indent=2) + "\n")


if __name__ == "__main__":
    main()
