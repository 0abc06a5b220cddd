"""Find the promoters of phage lambda by in-silico mutagenesis, starting without a model, in a minute or two.

1. Train a small convolutional model to tell sequences with a bacterial sigma-70
   promoter (TTGACA, 16-18 bp, TATAAT, with realistic substitutions) from sequences without.
2. Compile it with fastism_compiler.
3. Score every substitution around the PL and PR promoters, on both strands.
4. Verify against naive ISM, time against it, save the scores, draw logos.

    python examples/lambda_promoters.py [--out DIRECTORY]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

import fastism_compiler as fc

LETTERS = "ACGT"
LENGTH = 200
GENOME = Path(__file__).with_name("lambda_phage.fa")
ELEMENT = 29
"""TTGACA, 17 bp, TATAAT."""
BOXES = {"-35": (0, 6), "-10": (23, 29)}
SUBSTITUTIONS = 0.15
"""Chance that a base of a training promoter is drawn anew: ten or eleven of twelve bases stay consensus."""
console = Console()


@dataclass(frozen=True)
class Promoter:
    """A known promoter: 0-based start of its element on the plus strand, and its strand."""

    name: str
    start: int
    strand: str


PROMOTERS = (Promoter("PL", 35_588, "-"), Promoter("PR", 37_987, "+"))


def one_hot(sequence: str) -> np.ndarray[Any, Any]:
    """`[L, 4]` float32."""
    return np.eye(4, dtype=np.float32)[[LETTERS.index(c) for c in sequence]]


def reverse_complement(sequence: str) -> str:
    return sequence[::-1].translate(str.maketrans("ACGT", "TGCA"))


def read_genome() -> str:
    lines = GENOME.read_text().splitlines()
    return "".join(line.strip().upper() for line in lines if not line.startswith(">"))


def plant(rng: np.random.Generator, sequences: np.ndarray[Any, Any], boxes: tuple[str, ...]) -> None:
    """Write `boxes` (first, then 16-18 bp on, the second) into every row, with substitutions."""
    for row in sequences:
        at = rng.integers(0, LENGTH - 31)
        for box in boxes:
            letters = np.array([LETTERS.index(c) for c in box])
            changed = rng.random(len(box)) < SUBSTITUTIONS
            letters[changed] = rng.integers(0, 4, changed.sum())
            row[at : at + len(box)] = letters
            at += len(box) + rng.choice([16, 17, 18], p=[0.2, 0.6, 0.2])


def training_data(rng: np.random.Generator, count: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Half with a promoter; the rest without, with one box only, or with the boxes the wrong way round."""
    sequences = rng.integers(0, 4, (count, LENGTH))
    half, sixth = count // 2, count // 8
    plant(rng, sequences[:half], ("TTGACA", "TATAAT"))
    plant(rng, sequences[half : half + sixth], ("TTGACA",))
    plant(rng, sequences[half + sixth : half + 2 * sixth], ("TATAAT",))
    plant(rng, sequences[half + 2 * sixth : half + 3 * sixth], ("TATAAT", "TTGACA"))
    labels = (np.arange(count) < half).astype(np.float32)
    order = rng.permutation(count)
    return np.eye(4, dtype=np.float32)[sequences[order]], labels[order]


def build_model() -> Any:
    """Motif detectors, a convolution that sees both boxes, and the best place in the sequence."""
    import keras

    layers = keras.layers
    x = inputs = layers.Input((LENGTH, 4))
    x = layers.Conv1D(64, 9, padding="same")(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv1D(64, 9, padding="same", dilation_rate=2)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Conv1D(64, 7, padding="same", dilation_rate=4)(x)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.GlobalMaxPooling1D()(x)
    return keras.Model(inputs, layers.Dense(1)(layers.Dense(32, activation="relu")(x)), name="sigma70")


def train(seed: int, steps: int = 420, batch: int = 128) -> Any:
    """Train on fresh generated batches; show progress."""
    import keras

    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build_model()
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    accuracy = keras.metrics.BinaryAccuracy(threshold=0.0)
    model.compile(keras.optimizers.Adam(schedule), loss, metrics=[accuracy])
    x, y = training_data(rng, steps * batch)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("training", total=steps)
        for step in range(steps):
            rows = slice(step * batch, (step + 1) * batch)
            model.train_on_batch(x[rows], y[rows])
            progress.advance(task)
    held_out = model.evaluate(*training_data(rng, 2000), verbose=0, return_dict=True)
    console.print(f"trained: accuracy {held_out['binary_accuracy']:.3f} on 2,000 new sequences")
    return model


def regions(genome: str) -> dict[str, str]:
    """Each promoter's surroundings on both strands; the element starts at the same offset on its own strand."""
    found = {}
    for promoter in PROMOTERS:
        begin = promoter.start - (LENGTH - ELEMENT) // 2
        if promoter.strand == "-":
            begin -= 1  # an odd remainder: keeps the element's offset equal after reversal
        window = genome[begin : begin + LENGTH]
        for strand in "+-":
            found[f"{promoter.name} ({strand} strand)"] = window if strand == "+" else reverse_complement(window)
    return found


def importance(effects: np.ndarray[Any, Any], x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Minus the mean effect of the three alternatives, on the reference letter: `[L, 4]`."""
    return x * (-effects.sum(axis=-1, keepdims=True) / 3)


def report(name: str, letters: np.ndarray[Any, Any], sequence: str, promoter: Promoter) -> bool:
    """Print where the strongest positions lie; True if most lie in the boxes of the promoter's own strand."""
    start = (LENGTH - ELEMENT) // 2
    strongest = np.argsort(letters.sum(-1))[::-1][:6]
    spans = {box: range(start + lo, start + hi) for box, (lo, hi) in BOXES.items()}
    places = []
    for position in sorted(int(p) for p in strongest):
        box = next((b for b, span in spans.items() if position in span), None)
        places.append(f"{position}{sequence[position]}" + (f" [{box}]" if box else ""))
    inside = sum("[" in p for p in places)
    console.print(
        f"  {name}: strongest positions {', '.join(places)}: {inside} of 6 in the boxes",
        highlight=False,
        soft_wrap=True,
    )
    return inside >= 4


def scan_and_report(model: Any, out: Path) -> None:
    """Compile, scan, verify, time, save, draw."""
    from fastism_compiler.plot import logo_figure

    sequences = regions(read_genome())
    x = np.stack([one_hot(s) for s in sequences.values()])
    started = time.perf_counter()
    program = fc.compile(model)
    console.print(f"compiled and verified in {time.perf_counter() - started:.1f} s")
    console.print(str(program.plan), highlight=False, soft_wrap=True)
    effects = program.saturate(x, delta=True)[..., 0]
    console.print(str(program.verify(x, ranges=LENGTH)), highlight=False)
    compare_speed(program, model, x)

    letters = importance(effects, x)
    console.print("\nstrongest positions (on a promoter's own strand they should lie in its boxes):")
    for (name, sequence), values in zip(sequences.items(), letters, strict=True):
        promoter = next(p for p in PROMOTERS if name.startswith(p.name))
        own = f"({promoter.strand} strand)" in name
        found = report(name + (" own" if own else ""), values, sequence, promoter)
        if own:
            console.print(f"  -> {promoter.name}: {'found' if found else 'NOT found'}")
    out.mkdir(parents=True, exist_ok=True)
    np.savez(out / "lambda_promoters.npz", effects=effects, x=x, names=np.array(list(sequences)))
    start = (LENGTH - ELEMENT) // 2
    boxes = {box: (start + lo, start + hi) for box, (lo, hi) in BOXES.items()}
    spans = {f"{p.name} ({p.strand} strand)": boxes for p in PROMOTERS}
    shown = slice(start - 20, start + ELEMENT + 20)
    figure = logo_figure(
        {name: v[shown] for name, v in zip(sequences, letters, strict=True)}, LETTERS, first=shown.start, spans=spans
    )
    figure.savefig(out / "lambda_promoters.png", dpi=150)
    console.print(f"\nsaved {out / 'lambda_promoters.npz'} and {out / 'lambda_promoters.png'}")


def compare_speed(program: Any, model: Any, x: np.ndarray[Any, Any]) -> None:
    """Time one zero mutation per position against naive ISM in batches, both warmed up."""
    mutants = np.repeat(x, LENGTH, axis=0)
    mutants[np.arange(len(mutants)), np.arange(len(mutants)) % LENGTH] = 0

    def naive(batch: int) -> Callable[[], Any]:
        return lambda: model.predict(mutants, batch_size=batch, verbose=0)

    ours = seconds(lambda: program(x))
    batch, theirs = min(((n, seconds(naive(n))) for n in (32, 128, 512)), key=lambda pair: pair[1])
    console.print(f"one zero mutation per position: {ours:.3f} s; naive ISM in batches of {batch}, {theirs:.3f} s")
    console.print(f"speed-up: {theirs / ours:.1f}x")


def seconds(run: Callable[[], Any]) -> float:
    """The shortest of three runs, after one to warm up."""
    run()
    times = []
    for _ in range(3):
        started = time.perf_counter()
        run()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out"), help="where results go (default: out)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    fc.quieten()  # before `train` imports TensorFlow
    model = train(options.seed)
    scan_and_report(model, options.out)


if __name__ == "__main__":
    main()
