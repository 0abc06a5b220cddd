"""A program whose engines are at hand: what the plan shows of it, and what exporters write."""

from __future__ import annotations

from typing import Any

from fastism_compiler.ir import Graph, to_text
from fastism_compiler.planning.plan import Plan, make_plan
from fastism_compiler.runtime.engine import Engine
from fastism_compiler.runtime.program import Program


class EngineProgram(Program):
    """A program that runs on engines of this process: their graphs, functions and plan can be looked at."""

    @property
    def engines(self) -> list[Engine]:
        """One engine per bucket of ranges."""
        return [e for e in self.scorer.engines if isinstance(e, Engine)]

    @property
    def graph(self) -> Graph:
        """The annotated graph of the first bucket of ranges; `print(program.graph)` is its canonical text."""
        return self.engines[0].graph

    @property
    def function(self) -> Any:
        """The `tf.function` of a block: `(inputs, sequence, change, replacement, active)` to scores.

        See `emit.program.BlockProgram.scan`. Calls of the program run its two parts, which are compiled apart (by JAX,
        with `runtime="jax"`; this function stays TensorFlow's).
        """
        return self.engines[0].scan_function

    @property
    def plan(self) -> Plan:
        """What will run: layers, windows, kernels, arithmetic, memory. `str()` prints a table."""
        notes = [*self.notes, *dict.fromkeys(note for engine in self.engines for note in engine.notes)]
        return make_plan(self.engines, self.selection, self.batch_size, self.naive.rows, notes)

    def text(self) -> str:
        """The canonical text of the annotated graph."""
        return to_text(self.graph)
