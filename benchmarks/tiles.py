"""How good the tile sizes of `plan-tiles` are: seconds per sequence with them and with others, run in turn.

Rows per tile are varied around the choice; where a slice of a dense kernel is read in parts, so is their size.

python -m benchmarks.tiles
python -m benchmarks.tiles --models beluga --json out.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.compare import CASES, inputs_for
from benchmarks.timing import turns

MODELS = ("basset", "factorized_basset", "bpnet", "deepstarr", "optimus_5prime", "beluga")
_FACTORS = (0.25, 0.5, 2, 4)
_SLICE_MIB = (1, 4, 10, 1 << 10)


@dataclass(frozen=True)
class Choice:
    """One program: rows of its tiles, parts of a dense kernel's slice, seconds per sequence."""

    model: str
    rows: int
    parts: int
    chosen: bool
    seconds: float = 0.0


def programs(name: str, model: Any) -> Iterator[tuple[Choice, Any]]:
    """Programs of one model with the tiles that were chosen, and with others."""
    from fastism_compiler.passes import TWO_CORES
    from fastism_compiler.passes.cost.model import FITTED

    import fastism_compiler as fc
    from fastism_compiler import compiler

    case = CASES[name]

    def compiled(rows: int | None) -> tuple[Choice, Any]:
        program = fc.compile(model, batch_size=case.batch, verify=False, **case.options)
        for e in program.engines:
            if rows is not None:
                e.graph.tiling = replace(e.tiling, near_rows=rows, most_rows=max(rows, e.tiling.most_rows))
        first = program.engines[0]
        parts = max((n.facts.parts for n in first.graph.nodes()), default=1)
        used = first.tiling.rows(case.batch)
        return Choice(name, used, parts, rows is None), program

    choice, program = compiled(None)
    yield choice, program
    tried = {choice.rows}
    for factor in _FACTORS:
        other = compiled(min(max(round(factor * choice.rows), 1), TWO_CORES.tile_rows))
        if other[0].rows not in tried:
            tried.add(other[0].rows)
            yield other
    for size in _SLICE_MIB if choice.parts > 1 else ():
        resources = partial(compiler.Resources, cost=replace(FITTED, slice_bytes=size << 20))
        with mock.patch.object(compiler, "Resources", resources):
            other = compiled(choice.rows)
        if other[0].parts != choice.parts:
            yield other


def measure(name: str) -> list[Choice]:
    """Time all of them."""
    import fastism_compiler as fc

    model = getattr(fc.models, name)(**CASES[name].build)
    inputs = inputs_for(model, CASES[name].batch)
    choices, compiled = zip(*programs(name, model), strict=True)
    x = inputs if len(inputs) > 1 else inputs[0]
    times = turns(*[lambda p=p: p(x) for p in compiled])
    return [replace(c, seconds=t / CASES[name].batch) for c, t in zip(choices, times, strict=True)]


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=list(CASES))
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args(arguments)
    rows = []
    for name in options.models:
        for choice in sorted(measure(name), key=lambda c: (c.parts, c.rows)):
            rows.append(choice)
            mark = "  chosen" if choice.chosen else ""
            print(
                f"{name:20} {choice.rows:4} rows {choice.parts:3} parts {choice.seconds:8.4g} s a sequence{mark}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps([asdict(r) for r in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
