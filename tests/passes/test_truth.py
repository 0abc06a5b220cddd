"""Wrong facts are refused on every small graph: a lost window, a carrier that is too narrow, a wrong type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from fastism_compiler.ir import Carrier, ChangeRanges, Form, Graph, Node, Section, TensorType, Window
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.queries import rule_of
from fastism_compiler.ir.types import FLOATS
from fastism_compiler.ir.verifier import Verifier

from tests.passes.graphs import promises_until
from tests.passes.small_graphs import NAMES, run_until


def refused(graph: Graph, last: str, nodes: list[Node], damage: Callable[[Node], object]) -> None:
    """Damage each node in turn: the verifier must say so, and be content once the damage is undone."""
    promises, verifier = promises_until(last), Verifier(graph)
    verifier.verify(promises)
    for node in nodes:
        with damaged(node, damage), pytest.raises(IRError):
            verifier.verify(promises)
            pytest.fail(f"{node} verifies")  # says which, where the verifier does not
    verifier.verify(promises)


@contextmanager
def damaged(node: Node, damage: Callable[[Node], object]) -> Iterator[None]:
    facts = node.facts
    kept = node.type, facts.state, facts.carrier
    damage(node)
    yield
    node.type, facts.state, facts.carrier = kept


def lose_the_window(node: Node) -> None:
    nothing = np.zeros_like(node.window.ranges.lo)
    node.facts.state = Window(node.window.axis, ChangeRanges(nothing, nothing), node.window.length)


def shrink_the_carrier(node: Node) -> None:
    node.facts.carrier = Carrier(node.carrier.start, node.carrier.width - 1)


def make_it_an_integer(node: Node) -> None:
    node.type = TensorType(node.type.shape, "int32")


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_window_is_refused(name: str) -> None:
    graph = run_until(name, "propagate-ranges")
    refused(graph, "propagate-ranges", [n for n in graph if changes_somewhere(n)], lose_the_window)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_window_of_a_tile_is_refused(name: str) -> None:
    """Rows of the reference do not change, and so have nothing to lose; nor have zeros in their place."""
    graph = run_until(name, "insert-slice-assign")
    tile = [n for n in graph.nodes(Section.TILE) if n.facts.form is not Form.REFERENCE and n.op != "zero_delta"]
    refused(graph, "insert-slice-assign", [n for n in tile if changes_somewhere(n)], lose_the_window)


def changes_somewhere(node: Node) -> bool:
    return node.has_window and node.window.ranges.max_width > 0


@pytest.mark.parametrize("name", NAMES)
def test_a_carrier_one_position_short_is_refused(name: str) -> None:
    graph = run_until(name, "plan-tiles")
    refused(graph, "plan-tiles", [n for n in graph.nodes(Section.TILE) if n.has_window], shrink_the_carrier)


@pytest.mark.parametrize("name", NAMES)
def test_another_type_than_the_inferred_one_is_refused(name: str) -> None:
    """Only the frontend knows the types of leaves, and of calls that it leaves to Keras."""
    graph = run_until(name, "insert-slice-assign")
    inferred = [n for n in graph if not rule_of(n).declared and n.type.dtype in FLOATS]
    refused(graph, "insert-slice-assign", inferred, make_it_an_integer)
