"""How well plans predict time: of a whole mutant, and of one mutation; the models of `compare`, four transformers.

Windows are compiled even where the plan would run the model itself.

python -m benchmarks.predictions
python -m benchmarks.predictions --models basset deepstarr --json out.json
python -m benchmarks.predictions --models basset --no-xla   # programs that XLA does not compile
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras

from benchmarks.compare import CASES, inputs_for
from benchmarks.kernels import spearman
from benchmarks.naive import best_naive
from benchmarks.timing import seconds

_ROWS = 256

TRANSFORMERS = {
    "transformer_100x64": (100, 64),
    "transformer_200x32": (200, 32),
    "transformer_400x128": (400, 128),
    "transformer_60x256": (60, 256),
}
"""Positions and channels."""


@dataclass(frozen=True)
class Predicted:
    """One model: microseconds of a whole mutant, and of a mutation in the program, predicted and measured."""

    model: str
    naive_predicted_us: float
    naive_us: float
    predicted_us: float
    measured_us: float

    @property
    def off(self) -> float:
        """Predicted over measured speed-up."""
        return (self.naive_predicted_us / self.predicted_us) / (self.naive_us / self.measured_us)


def transformer(length: int, channels: int) -> Any:
    """Two blocks of attention behind a convolution, and a mean over positions."""
    x = inputs = keras.Input((length, 4))
    x = keras.layers.Conv1D(channels, 9, padding="same", activation="relu")(x)
    for _ in range(2):
        attended = keras.layers.MultiHeadAttention(4, channels // 4)(x, x)
        x = keras.layers.LayerNormalization()(x + attended)
        hidden = keras.layers.Dense(2 * channels, activation="gelu")(x)
        x = keras.layers.LayerNormalization()(x + keras.layers.Dense(channels)(hidden))
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(x)))


def measure(name: str, jit: bool = True) -> Predicted:
    """Compile one model, time it and its naive loop, and ask the cost model for both."""
    from fastism_compiler.passes import default_pipeline
    from fastism_compiler.passes.choose_program import ChooseProgramPass
    from fastism_compiler.passes.cost.programs import naive_cost, tile_cost

    import fastism_compiler as fc

    case = CASES.get(name)
    model = getattr(fc.models, name)(**case.build) if case else transformer(*TRANSFORMERS[name])
    batch, options, most = (case.batch, case.options, case.naive_rows) if case else (8, {}, _ROWS)
    always = default_pipeline().replace("choose-program", ChooseProgramPass(break_even=0))
    program = fc.compile(model, batch_size=batch, verify=False, jit=jit, pipeline=always, **options)
    inputs = inputs_for(model, batch)
    x = inputs if len(inputs) > 1 else inputs[0]
    mutations = batch * program.ranges.count
    measured = seconds(lambda: program(x)) / mutations
    naive = best_naive(model, inputs, min(most, mutations))[0]
    engines = program.engines
    rate = engines[0].context.machine.multiply_adds
    scan = sum(tile_cost(e.graph, e.context) * e.ranges.count for e in engines) / program.ranges.count
    whole = naive_cost(engines[0].graph, engines[0].context)
    return Predicted(name, 1e6 * whole / rate, 1e6 * naive, 1e6 * scan / rate, 1e6 * measured)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    names = [*CASES, *TRANSFORMERS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=names, choices=names)
    parser.add_argument("--no-xla", action="store_true", help="compile without XLA")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args(arguments)
    print(f"{'us per mutation':22} {'naive plan':>11} {'measured':>9} {'ours plan':>11} {'measured':>9} {'off by':>7}")
    rows = []
    for name in options.models:
        r = measure(name, not options.no_xla)
        rows.append(r)
        print(
            f"{name:22} {r.naive_predicted_us:11.4g} {r.naive_us:9.4g} {r.predicted_us:11.4g} {r.measured_us:9.4g} "
            f"{r.off:6.2f}x",
            flush=True,
        )
    off = [max(r.off, 1 / r.off) for r in rows]
    rank = spearman([r.naive_predicted_us / r.predicted_us for r in rows], [r.naive_us / r.measured_us for r in rows])
    print(f"Spearman of speed-ups {rank:.3f}; off by {sum(off) / len(off):.2f}x on average, {max(off):.2f}x at most")
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
