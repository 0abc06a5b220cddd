"""Every small model of `tests.graphs` as a graph, lowered once per session."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from fastism_compiler.ir import ChangeRanges, Graph
from fastism_compiler.passes import Context, Pipeline, default_pipeline

from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.keras.functional import functional_graph
from fastism_compiler.frontend.keras.inputs import find_sequence, input_spec
from fastism_compiler.frontend.keras.lowering import lower
from fastism_compiler.frontend.source import ReadOptions
from tests.graphs import GRAPHS

NAMES = sorted(GRAPHS)


@dataclass(frozen=True)
class Small:
    """A small model, its graph, and what the names in it stand for."""

    model: Any
    graph: Graph
    bindings: Bindings


@cache
def lowered(name: str) -> Small:
    """A small model as the frontend hands it over. Copy its graph before you run passes on it."""
    model = GRAPHS[name]()
    function = functional_graph(model)
    inputs = input_spec(
        function, find_sequence(function, "seq" if len(model.inputs) > 1 else 0), ReadOptions(letters=None)
    )
    made = lower(model, inputs, function)
    return Small(model, made.graph, made.bindings)


def length_of(graph: Graph) -> int:
    assert graph.sequence is not None
    return graph.sequence.type.extent(1)


def ranges_of(length: int) -> list[Any]:
    """Every position, and three ranges of unequal width."""
    return [None, [(0, min(2, length)), (length // 2, length // 2 + 1), (length // 3, length)]]


def context_for(graph: Graph, ranges: Any = None, sparse: bool = False) -> Context:
    return Context(ChangeRanges.of(ranges, length_of(graph)), batch_size=3, sparse=sparse)


def run_until(name: str, last: str, *, ranges: Any = None, sparse: bool = False) -> Graph:
    """A copy of a small graph, after the default passes up to and including `last`."""
    graph = lowered(name).graph.copy()
    passes = default_pipeline()
    steps = passes.passes[: passes.names().index(last) + 1]
    return Pipeline(steps).run(graph, context_for(graph, ranges, sparse))
