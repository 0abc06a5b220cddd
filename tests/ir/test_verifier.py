"""Every promise of the stage specs bites: take a graph that verifies, break one fact, read the complaint."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from fastism_compiler.ir import Carrier, ChangeRanges, Form, Graph, LayerClass, Node, Section, Window, to_dot, verify
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.printer import excerpt
from fastism_compiler.ir.ranges import Constant
from fastism_compiler.ir.verifier import STAGES

from tests.passes.graphs import Tiny, conv_relu_pool_dense, residual_with_stop, run_until


def one(graph: Graph, op: str, section: Section, form: Form | None = None) -> Node:
    return next(n for n in graph.nodes(section) if n.op == op and form in (None, n.facts.form))


def _set(op: str, section: Section, fact: str, value: object, form: Form | None = None) -> Callable[[Graph], None]:
    return lambda graph: setattr(one(graph, op, section, form).facts, fact, value)


REFERENCE, TILE = Section.REFERENCE, Section.TILE
OUTSIDE = Window(1, ChangeRanges(np.array([-1]), np.array([20])), 12)
ELSEWHERE = Window(2, ChangeRanges(np.array([0]), np.array([1])), 12)
BROKEN = {
    "a node has no class": ("classify-layers", _set("conv", REFERENCE, "layer_class", None)),
    "a stop gives no reason": ("classify-layers", _set("conv", REFERENCE, "layer_class", LayerClass.STOP)),
    "has no demand": ("demand", _set("conv", REFERENCE, "demand", None)),
    "has no change range": ("propagate-ranges", _set("conv", REFERENCE, "state", None)),
    "another axis or length": ("propagate-ranges", _set("conv", REFERENCE, "state", ELSEWHERE)),
    "a change range leaves": ("propagate-ranges", _set("conv", REFERENCE, "state", OUTSIDE)),
    "belongs to no segment": ("segment", _set("conv", REFERENCE, "segment", None)),
    "a tile node has no form": ("insert-slice-assign", _set("conv", TILE, "form", None)),
    "make a value": ("insert-slice-assign", _set("conv", TILE, "form", Form.VALUE)),
    "a nonlinear op got a delta": ("insert-slice-assign", _set("max_pool", TILE, "form", Form.DELTA)),
    "a linear op has no kernel": ("select-kernels", _set("conv", TILE, "kernel", None)),
    "a tile window has no carrier": ("place-windows", _set("conv", TILE, "carrier", None)),
    "does not cover": ("place-windows", _set("conv", TILE, "carrier", Carrier(np.zeros(12, dtype=np.int64), 1))),
}


@pytest.mark.parametrize("complaint", sorted(BROKEN))
def test_a_broken_promise_is_named(complaint: str) -> None:
    stage, damage = BROKEN[complaint]
    graph = run_until(conv_relu_pool_dense(), stage)
    done = tuple(STAGES)[: tuple(STAGES).index(stage) + 1]
    verify(graph, done)
    damage(graph)
    if "nonlinear" in complaint:  # what it reads has to be a delta too, or the forms are what is wrong
        pool = one(graph, "max_pool", TILE)
        graph.set_operand(pool, 0, one(graph, "conv", TILE))
    lowered = ("insert-slice-assign",) if stage in ("select-kernels", "place-windows") else ()
    with pytest.raises(IRError, match=rf"after {stage}: .*{complaint}"):
        verify(graph, (*lowered, stage))


def test_macro_ops_must_be_gone_after_canonicalize() -> None:
    t = Tiny()
    y = t.op("batch_norm", t.x, t.parameter(4), t.parameter(4), axis=2, epsilon=1e-3, scale=False, center=False)
    graph = t.finish(y)
    verify(graph)
    with pytest.raises(IRError, match="a macro op is left"):
        verify(graph, ("canonicalize",))


def test_difference_needs_a_value() -> None:
    graph = run_until(conv_relu_pool_dense(), "insert-slice-assign")
    value = one(graph, "difference", TILE).operands[0]
    value.facts.form = Form.DELTA
    with pytest.raises(IRError, match="operands of forms"):
        verify(graph, ("insert-slice-assign",))


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
