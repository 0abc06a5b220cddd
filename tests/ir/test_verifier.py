"""Every promise of the passes bites: take a graph that verifies, break one fact, read the complaint."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fastism_compiler.ir import (
    Carrier,
    ChangeRanges,
    Form,
    Full,
    Graph,
    LayerClass,
    Node,
    Section,
    StageSpec,
    Window,
    to_dot,
    verify,
)
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.printer import excerpt
from fastism_compiler.ir.ranges import Constant
from fastism_compiler.ir.tiling import Tiling
from fastism_compiler.ir.verifier import Verifier

from tests.passes.graphs import Tiny, conv_relu_pool_dense, promises_until, residual_with_stop, run_until


def one(graph: Graph, op: str, section: Section, form: Form | None = None) -> Node:
    return next(n for n in graph.nodes(section) if n.op == op and form in (None, n.facts.form))


def _set(op: str, section: Section, fact: str, value: object, form: Form | None = None) -> Callable[[Graph], None]:
    return lambda graph: setattr(one(graph, op, section, form).facts, fact, value)


def _feed_a_delta_to_the_pool(graph: Graph) -> None:
    pool = one(graph, "max_pool", TILE)
    pool.facts.form = Form.DELTA
    graph.set_operand(pool, 0, one(graph, "conv", TILE))


def _forget_a_range(graph: Graph) -> None:
    window = one(graph, "relu", REFERENCE).window
    few = window.ranges.subset(np.arange(3))
    one(graph, "relu", REFERENCE).facts.state = Window(1, few, window.length)


def _group_what_starts_apart(graph: Graph) -> None:
    one(graph, "conv", TILE).facts.shared_start = True


def _group_fewer_ranges(graph: Graph) -> None:
    graph.tiling = Tiling(np.zeros(3, dtype=np.int64), 1, 1, 1, 0.0)


def _return_something_else(graph: Graph) -> None:
    graph.tile_outputs = [one(graph, "slice_assign", TILE)]


def _return_nothing(graph: Graph) -> None:
    graph.tile_outputs = []


REFERENCE, TILE = Section.REFERENCE, Section.TILE
OUTSIDE = Window(1, ChangeRanges(np.full(12, -1), np.full(12, 20)), 12)
ELSEWHERE = Window(2, ChangeRanges(np.array([0]), np.array([1])), 12)
EMPTY = Window(1, ChangeRanges(np.zeros(12, dtype=np.int64), np.zeros(12, dtype=np.int64)), 12)
ZERO = np.zeros(12, dtype=np.int64)
BROKEN = {
    "a node has no class": ("classify-layers", _set("conv", REFERENCE, "layer_class", None)),
    "a stop gives no reason": ("classify-layers", _set("conv", REFERENCE, "layer_class", LayerClass.STOP)),
    "has no demand": ("demand", _set("conv", REFERENCE, "demand", None)),
    r"\[0, 12\) of %\w+ are needed, \[0, 3\) are demanded": ("demand", _set("conv", REFERENCE, "demand", (0, 3))),
    "has no change range": ("propagate-ranges", _set("conv", REFERENCE, "state", None)),
    "another axis or length": ("propagate-ranges", _set("conv", REFERENCE, "state", ELSEWHERE)),
    "a change range leaves": ("propagate-ranges", _set("conv", REFERENCE, "state", OUTSIDE)),
    "a window has 3 ranges for 12 changes": ("propagate-ranges", _forget_a_range),
    "does not hold what %x sends": ("propagate-ranges", _set("conv", REFERENCE, "state", EMPTY)),
    "does not hold the changes of the sequence": ("propagate-ranges", _set("input", REFERENCE, "state", EMPTY)),
    "which it reads, may change in full": ("propagate-ranges", _set("conv", REFERENCE, "state", Full())),
    "the node states constant": ("propagate-ranges", _set("relu", REFERENCE, "state", Constant())),
    "does not say which change ranges": ("propagate-ranges", lambda graph: setattr(graph, "ranges", None)),
    "belongs to no segment": ("segment", _set("conv", REFERENCE, "segment", None)),
    "a tile node has no form": ("insert-slice-assign", _set("conv", TILE, "form", None)),
    "make a value": ("insert-slice-assign", _set("conv", TILE, "form", Form.VALUE)),
    "make a delta": ("insert-slice-assign", _set("slice_assign", TILE, "form", Form.DELTA)),
    "a nonlinear op got a delta": ("insert-slice-assign", _feed_a_delta_to_the_pool),
    "does not hold what %conv.d sends": ("insert-slice-assign", _set("slice_assign", TILE, "state", EMPTY)),
    "0 tile outputs do not match 1 outputs": ("insert-slice-assign", _return_nothing),
    r"tile output %\w+.\w+ is f32\[B,12,3\], output %dense is f32\[B,2\]": (
        "insert-slice-assign",
        _return_something_else,
    ),
    "a linear op has no kernel": ("select-kernels", _set("conv", TILE, "kernel", None)),
    "a tile window has no carrier": ("place-windows", _set("conv", TILE, "carrier", None)),
    "does not cover": ("place-windows", _set("conv", TILE, "carrier", Carrier(ZERO, 1))),
    "which is not where a node": ("place-windows", _set("relu", TILE, "carrier", Carrier(ZERO, 12))),
    "there is no tiling": ("plan-tiles", lambda graph: setattr(graph, "tiling", None)),
    "3 ranges are grouped, of 12": ("plan-tiles", _group_fewer_ranges),
    "at several positions": ("plan-tiles", _group_what_starts_apart),
    "there is no prediction": ("choose-program", lambda graph: setattr(graph, "prediction", None)),
}


@pytest.mark.parametrize("complaint", sorted(BROKEN))
def test_a_broken_promise_is_named(complaint: str) -> None:
    stage, damage = BROKEN[complaint]
    graph = run_until(conv_relu_pool_dense(), stage)
    promises = promises_until(stage)
    verify(graph, promises)
    damage(graph)
    lowered = [("lowering", StageSpec(lowered=True))]
    with pytest.raises(IRError, match=rf"after {stage}: .*{complaint}"):
        verify(graph, [*lowered, promises[-1]])


def test_an_output_is_demanded_whole() -> None:
    graph = run_until(residual_with_stop(), "demand")
    _, part = graph.outputs
    part.facts.demand = (1, 4)
    with pytest.raises(IRError, match=r"after demand: output %slice is demanded in \[1, 4\) only"):
        verify(graph, promises_until("demand"))


def test_a_window_must_be_followed() -> None:
    """A softmax over positions has no window, whatever its facts say."""
    graph = run_until(residual_with_stop(), "propagate-ranges")
    softmax = one(graph, "softmax", REFERENCE)
    softmax.facts.axis, softmax.facts.state = 1, softmax.operands[0].facts.state
    with pytest.raises(IRError, match="states a window, but does not keep the positions"):
        verify(graph, promises_until("propagate-ranges")[-1:])


def test_macro_ops_must_be_gone_after_canonicalize() -> None:
    t = Tiny()
    y = t.op("batch_norm", t.x, t.parameter(4), t.parameter(4), axis=2, epsilon=1e-3, scale=False, center=False)
    graph = t.finish(y)
    verify(graph)
    with pytest.raises(IRError, match="a macro op is left"):
        verify(graph, promises_until("canonicalize"))


def test_without_change_ranges_on_the_graph_only_the_facts_are_compared() -> None:
    """A pass of yours may verify parts of a graph that no pipeline has run on."""
    graph = run_until(conv_relu_pool_dense(), "plan-tiles")
    graph.ranges = None
    before = promises_until("plan-tiles")
    verify(graph, [(name, spec) for name, spec in before if name != "propagate-ranges"])
    one(graph, "relu", TILE).facts.state = EMPTY
    with pytest.raises(IRError, match="does not hold"):
        verify(graph, [(name, spec) for name, spec in before if name != "propagate-ranges"])


def test_what_has_not_changed_is_not_checked_again() -> None:
    graph, seen = conv_relu_pool_dense(), []

    def note(node: Node) -> None:
        seen.append(node.op)

    promises, verifier = [("noting", StageSpec(reference=(note,)))], Verifier(graph)
    verifier.verify(promises)
    assert len(seen) == len(graph)
    seen.clear()
    verifier.verify(promises)
    assert seen == []
    pool = one(graph, "max_pool", REFERENCE)
    pool.facts.segment = 7
    verifier.verify(promises)
    assert seen == ["max_pool", "conv"]  # the pool, and what reads it


def test_a_check_that_failed_is_repeated() -> None:
    graph = conv_relu_pool_dense()

    def refuse(node: Node) -> str | None:
        return "no pools" if node.op == "max_pool" else None

    verifier = Verifier(graph)
    for _ in range(2):
        with pytest.raises(IRError, match="after mine: no pools"):
            verifier.verify([("mine", StageSpec(reference=(refuse,)))])


def test_a_drawing_shows_changes_and_hides_parameters() -> None:
    graph = run_until(residual_with_stop(), "plan-tiles")
    dot = to_dot(graph)
    assert "[i-1, i+2)" in dot
    assert not any(n.op == "parameter" and f"n{n.id} ->" in dot for n in graph)
    assert graph.to_dot() == dot


def test_an_excerpt_of_another_graph_is_empty() -> None:
    assert excerpt(conv_relu_pool_dense(), conv_relu_pool_dense().nodes()[0]) == []


def test_a_constant_prints_as_such() -> None:
    assert str(Constant()) == "constant"
