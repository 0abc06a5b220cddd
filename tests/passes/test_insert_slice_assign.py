from __future__ import annotations

from dataclasses import replace

import pytest
from fastism_compiler.ir import Section, to_text
from fastism_compiler.ir.errors import PassError
from fastism_compiler.ir.ops import RULES

from tests.conftest import Golden
from tests.passes.graphs import Tiny, conv_relu_pool_dense, residual_with_stop, run_until


def test_conv_relu_pool_dense(golden: Golden) -> None:
    golden(to_text(run_until(conv_relu_pool_dense(), "insert-slice-assign")))


def test_residual_with_stop(golden: Golden) -> None:
    golden(to_text(run_until(residual_with_stop(), "insert-slice-assign")))


def test_constants_meet_deltas(golden: Golden) -> None:
    t = Tiny(length=6)
    y = t.op("subtract", t.parameter(4), t.x)  # minus the change
    y = t.op("add", t.op("reduce_sum", y, axes=(2,), keepdims=True), t.parameter(3))  # broadcast over channels
    y = t.op("concat", y, t.op("pad", y, axis=1, left=1, right=0), axis=1)  # two windows, one behind the other
    golden(to_text(run_until(t.finish(t.conv(y, 2)), "insert-slice-assign")))


def test_a_constant_is_read_once_per_window() -> None:
    t = Tiny(length=6)
    table = t.parameter(6, 4)
    y = t.op("select", t.op("greater", t.x, table), table, table)
    graph = run_until(t.finish(t.conv(y, 2)), "insert-slice-assign")
    reads = [n for n in graph.nodes(Section.TILE) if n.op == "reference_window" and n.operands[0] is table]
    assert len(reads) == 2  # on the window of the comparison, and on that of the choice, which reads it twice


def test_an_aggregation_of_values_needs_an_op_over_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "reduce_max", replace(RULES["reduce_max"], over_windows=None))
    t = Tiny(length=6)
    graph = t.finish(t.op("reduce_max", t.op("relu", t.x), axes=(1,), keepdims=False))
    with pytest.raises(PassError, match=r"(?s)a nonlinear aggregation needs a tile op over windows.*got: +reduce_max"):
        run_until(graph, "insert-slice-assign")
