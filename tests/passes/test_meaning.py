"""Every transform keeps what a graph means, and every window holds all that changes: in numbers, on every small graph.

The interpreter evaluates the graph before and after each pass that rewrites
it, for a mutant in each of three change ranges.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastism_compiler.ir import Carrier, ChangeRanges, Form, Graph, Node, Section, Window
from fastism_compiler.passes import Context, Kind, Pass, Pipeline, default_pipeline

from tests.passes.meaning import Array, Numbers, numbers
from tests.passes.small_graphs import NAMES, context_for, length_of, lowered, ranges_of
from tests.programs import TILES

CLOSE: dict[str, Any] = {"rtol": 1e-9, "atol": 1e-9, "equal_nan": False}


class Witness:
    """An observer of a pipeline: what the graph meant at first it must mean after every pass."""

    def __init__(self, graph: Graph, numbers: Numbers) -> None:
        self.numbers = numbers
        self.mutated = numbers.outputs(graph, mutated=True)
        self.reference = numbers.outputs(graph, mutated=False)
        self.compared: list[str] = []

    def __call__(self, step: Pass, graph: Graph, seconds: float) -> None:
        if step.name == "propagate-ranges":
            mutated, own = (self.numbers.values(graph, mutated=m) for m in (True, False))
            same_outside_windows(self.numbers, list(graph), mutated, own)
        if step.kind is not Kind.TRANSFORM:
            return
        for got, expected in zip(self.numbers.outputs(graph, mutated=True), self.mutated, strict=True):
            np.testing.assert_allclose(got, expected, **CLOSE, err_msg=step.name)
        tile = graph.nodes(Section.TILE)
        if tile:
            placed = any(n.facts.carrier is not None for n in tile)
            self.compare_rows(step, graph, self.numbers.rows(graph, stored=placed))
            if not placed:
                sequence = self.numbers.inputs[graph.inputs.index(graph.sequence)]
                same_outside_windows(self.numbers, tile, self.numbers.rows(graph), self.numbers.rows(graph, sequence))
        self.compared.append(step.name)

    def compare_rows(self, step: Pass, graph: Graph, rows: dict[Node, Array]) -> None:
        for node, mutated, reference in zip(graph.tile_outputs, self.mutated, self.reference, strict=True):
            expected = mutated - reference if node.facts.form is Form.DELTA else mutated
            np.testing.assert_allclose(rows[node], expected, **CLOSE, err_msg=f"{step.name}: {node}")


def same_outside_windows(
    numbers: Numbers, nodes: list[Node], mutated: dict[Node, Array], own: dict[Node, Array]
) -> None:
    """Outside its window a value is the reference's, as far as anything reads it."""
    for node in nodes:
        state = node.facts.state
        if not isinstance(state, Window):
            assert node.changes or np.array_equal(mutated[node], own[node]), node
            continue
        positions = np.arange(state.length)
        lo, hi = (t[numbers.changes][:, None] for t in (state.ranges.lo, state.ranges.hi))
        first, last = node.facts.demand or (0, state.length)
        outside = ((positions < lo) | (positions >= hi)) & (first <= positions) & (positions < last)
        difference = np.moveaxis(mutated[node].astype(float) - own[node].astype(float), state.axis, 1)
        np.testing.assert_allclose(difference[outside], 0, atol=1e-9, err_msg=str(node))


@pytest.mark.parametrize("sparse", [False, True], ids=["values", "windows"])
@pytest.mark.parametrize("name", NAMES)
def test_every_transform_keeps_the_meaning(name: str, sparse: bool) -> None:
    model = lowered(name)
    for ranges in ranges_of(length_of(model.graph)):
        graph = model.graph.copy()
        context = context_for(graph, ranges, sparse)
        witness = Witness(graph, numbers(model, context))
        TILES.observed_by(witness).run(graph, context)
        assert witness.compared == [
            "canonicalize",
            "crop-early",
            "insert-slice-assign",
            "compose-convolutions",
            "place-windows",
        ]


def lose_a_row(graph: Graph) -> None:
    """Store the values in front of the pool one position too narrow."""
    pool = next(n for n in graph.nodes(Section.TILE) if n.op == "max_pool")
    carrier = pool.operands[0].carrier
    pool.operands[0].facts.carrier = Carrier(carrier.start, carrier.width - 1)


def lose_a_delta(graph: Graph) -> None:
    """Store the first delta on one position beside the change."""
    first = next(n for n in graph.nodes(Section.TILE) if n.op == "input_delta")
    first.facts.carrier = Carrier(first.carrier.start + 1, 1)


def use_another_bias(graph: Graph) -> None:
    for node in graph.nodes(Section.TILE):
        if node.op == "slice_assign":
            graph.set_operand(node, 1, node.operands[0])


def forget_a_term(graph: Graph) -> None:
    add = next(n for n in graph if n.op == "add")
    graph.replace(add, add.operands[0])


FAULTS: list[tuple[str, Callable[[Graph], None], str]] = [
    ("canonicalize", forget_a_term, "batch_norm_orders"),
    ("insert-slice-assign", use_another_bias, "max_pool_valid"),
    ("plan-tiles", lose_a_row, "max_pool_same_odd"),
    ("plan-tiles", lose_a_delta, "conv_valid"),
]


@pytest.mark.parametrize(("after", "damage", "name"), FAULTS, ids=lambda x: getattr(x, "__name__", None))
def test_what_changes_the_meaning_is_seen(after: str, damage: Callable[[Graph], None], name: str) -> None:
    class FaultyPass(Pass):
        name = "faulty"

        def run(self, graph: Graph, context: Context) -> None:
            damage(graph)

    model = lowered(name)
    context = context_for(model.graph)
    witness = Witness(model.graph, numbers(model, context))
    steps = default_pipeline().insert_after(after, FaultyPass())
    with pytest.raises(AssertionError, match="faulty"):
        Pipeline(steps.passes, check=False, observers=(witness,)).run(model.graph.copy(), context)


def test_a_window_that_misses_a_change_is_seen() -> None:
    model = lowered("conv_valid")
    context = context_for(model.graph)
    drawn = numbers(model, context)
    graph = Pipeline(default_pipeline().passes[:5]).run(model.graph.copy(), context)
    relu = next(n for n in graph if n.op == "relu")
    nothing = np.zeros_like(relu.window.ranges.lo)
    relu.facts.state = Window(1, ChangeRanges(nothing, nothing), relu.window.length)
    with pytest.raises(AssertionError, match="relu"):
        same_outside_windows(drawn, [relu], drawn.values(graph, mutated=True), drawn.values(graph, mutated=False))
