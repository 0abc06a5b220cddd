"""What lower precision costs: errors of *effects*, ours (differences rounded) against naive ISM (values rounded).

Both round the operands of every product to the same format and sum in
float32; the truth is strict float32. Errors are relative to the effects, over
all positions of the sequences: correlation, and largest error / rms effect.

python -m benchmarks.precision
python -m benchmarks.precision --models basset bpnet --json out.json
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare import inputs_for

MODELS: dict[str, dict[str, Any]] = {
    "basset": {},
    "factorized_basset": {},
    "bpnet": {},
    "bpnet_control_tracks": {},
    "beluga": {},
    "deepstarr": {},
    "danq": {},
    "scbasset": {},
    "optimus_5prime": {},
    "spliceai": {"length": 1200, "blocks": 1, "crop": 400},
    "chrombpnet": {"filters": 64},
    "dilated_cnn": {"filters": 64},
}
"""Models and arguments; the widest ones narrower than published, to finish in minutes."""
_POSITIONS = 64
_ROWS = 32


@dataclass(frozen=True)
class Row:
    """Errors of one output of one model at one precision."""

    model: str
    output: int
    precision: str
    ours_correlation: float
    ours_error: float
    naive_correlation: float
    naive_error: float


def rounded_model(program: Any, precision: str) -> Any:
    """The model itself with the operands of every product rounded: `(flat inputs) -> flat outputs`."""
    import tensorflow as tf
    from fastism_compiler.ir.queries import rule_of

    from fastism_compiler.emit.ops import OPS
    from fastism_compiler.emit.precision import rounding_of
    from fastism_compiler.emit.reference import Values

    rounding = rounding_of(precision, jit=True)
    engine = program.engines[0]

    class Rounded(Values):
        """The reference section, in another precision."""

        def _evaluate(self, node: Any) -> Any:
            if not rule_of(node).contraction or node.op not in OPS:
                return super()._evaluate(node)
            return OPS[node.op](node, *[rounding(self.by_node[o]) for o in node.operands])

    @tf.function(jit_compile=True, autograph=False)
    def run(inputs: Any) -> Any:
        values = Rounded(engine.graph, engine.source.bindings, inputs).run()
        return [values[n] for n in engine.graph.outputs]

    return run


def naive_effects(run: Any, inputs: list[Any], positions: Any) -> list[Any]:
    """Effects of a zero at each position of the first sequence: flat `[P, *out]`."""
    reference = [y.numpy() for y in run([np.repeat(x[:1], _ROWS, axis=0) for x in inputs])]
    pieces = []
    for begin in range(0, len(positions), _ROWS):
        rows = [np.repeat(x[:1], _ROWS, axis=0) for x in inputs]
        rows[0][np.arange(_ROWS), positions[begin : begin + _ROWS]] = 0
        pieces.append([y.numpy() - r for y, r in zip(run(rows), reference, strict=True)])
    return [np.concatenate(parts) for parts in zip(*pieces, strict=True)]


def errors(found: Any, exact: Any) -> tuple[float, float]:
    """Correlation with the exact effects, and largest error / rms effect."""
    a, b = found.reshape(-1).astype(np.float64), exact.reshape(-1).astype(np.float64)
    return float(np.corrcoef(a, b)[0, 1]), float(np.abs(a - b).max() / np.sqrt(np.mean(b**2)))


def rows_for(name: str) -> list[Row]:
    """Both precisions, ours and naive, on one model."""
    import fastism_compiler as fc

    model = getattr(fc.models, name)(**MODELS[name])
    inputs = inputs_for(model, 1)
    length = inputs[0].shape[1]
    positions = np.linspace(0, length - 1, _POSITIONS).round().astype(int)
    ranges = [(int(p), int(p) + 1) for p in positions]
    x = inputs if len(inputs) > 1 else inputs[0]

    def effects(precision: str) -> list[Any]:
        program = fc.compile(model, ranges=ranges, precision=precision, verify=False)
        nest = program(x, delta=True)
        return [y[0] for y in (nest if isinstance(nest, list) else [nest])]

    strict = fc.compile(model, ranges=ranges, verify=False)
    exact, found = effects("float32"), []
    for precision in ("tf32", "bfloat16"):
        ours = effects(precision)
        naive = naive_effects(rounded_model(strict, precision), inputs, positions)
        for k, truth in enumerate(exact):
            found.append(Row(name, k, precision, *errors(ours[k], truth), *errors(naive[k], truth)))
    return found


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args(arguments)
    rows: list[Row] = []
    for name in options.models:
        print(f"{name} ...", file=sys.stderr, flush=True)
        rows += rows_for(name)
    print("| model | output | precision | ours: correlation | max error / rms effect | naive: correlation | same |")
    print("|---|---|---|---|---|---|---|")
    for r in rows:
        print(
            f"| {r.model} | {r.output} | {r.precision} | {r.ours_correlation:.6f} | {r.ours_error:.2g} "
            f"| {r.naive_correlation:.6f} | {r.naive_error:.2g} |"
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
