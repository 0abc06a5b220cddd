from __future__ import annotations

import pytest
from fastism_compiler.ir import to_text

from tests.conftest import Golden
from tests.passes.graphs import Tiny, context, run_until


def test_macro_ops_are_expanded(golden: Golden) -> None:
    t = Tiny()
    y = t.op("identity", t.x, layer="dropout")
    options = {"axis": 2, "epsilon": 0.001, "scale": True, "center": True}
    y = t.op("batch_norm", y, *[t.parameter(4) for _ in range(4)], layer="norm", **options)
    d, p = t.parameter(3, 4, 1), t.parameter(1, 4, 2)
    y = t.op("separable_conv", y, d, p, stride=1, dilation=1, pad=(1, 1), layer="separable")
    golden(to_text(run_until(t.finish(y), "canonicalize")))


def test_what_does_nothing_is_dropped(golden: Golden) -> None:
    t = Tiny()
    y = t.op("transpose", t.op("transpose", t.x, perm=(0, 2, 1)), perm=(0, 2, 1))
    y = t.op("slice", t.op("pad", y, axis=1, left=0, right=0), axis=1, begin=0, end=12)
    y = t.op("reshape", t.op("cast", y, dtype="float32"), shape=(12, 4))
    t.op("relu", y)  # dead
    golden(to_text(run_until(t.finish(t.op("tanh", y)), "canonicalize")))


def test_transposes_merge() -> None:
    t = Tiny()
    y = t.op("reshape", t.x, shape=(3, 4, 4))
    y = t.op("transpose", t.op("transpose", y, perm=(0, 2, 3, 1)), perm=(0, 2, 3, 1))
    y = t.op("transpose", y, perm=(0, 1, 2, 3))
    graph = run_until(t.finish(t.op("tanh", y)), "canonicalize")
    assert [n.attrs["perm"] for n in graph if n.op == "transpose"] == [(0, 3, 1, 2)]


def test_normalisation_over_another_axis_is_shaped_to_broadcast() -> None:
    t = Tiny()
    options = {"axis": 1, "epsilon": 0.001, "scale": False, "center": False}
    y = t.op("batch_norm", t.x, t.parameter(12), t.parameter(12), **options)
    graph = run_until(t.finish(y), "canonicalize")
    assert [n.attrs["shape"] for n in graph if n.op == "reshape"] == [(12, 1), (12, 1)]


def test_a_dropout_named_in_stop_at_stays() -> None:
    t = Tiny()
    graph = t.finish(t.op("tanh", t.op("identity", t.x, layer="dropout")))
    run_until(graph, "classify-layers", stop_at=frozenset({"dropout"}))
    (kept,) = [n for n in graph if n.op == "identity"]
    assert kept.facts.reason == "the layer is named in stop_at"
    assert context(graph).ranges.count == 12


@pytest.mark.parametrize("name", ["inner", "outer"])
def test_a_transpose_named_in_stop_at_is_not_merged(name: str) -> None:
    t = Tiny()
    inner = t.op("transpose", t.x, layer="inner", perm=(0, 2, 1))
    graph = t.finish(t.op("tanh", t.op("transpose", inner, layer="outer", perm=(0, 2, 1))))
    run_until(graph, "classify-layers", stop_at=frozenset({name}))
    assert [n.facts.reason for n in graph if n.layer == name] == ["the layer is named in stop_at"]


def test_a_reshape_to_its_own_shape_named_in_stop_at_stays() -> None:
    t = Tiny()
    graph = t.finish(t.op("tanh", t.op("reshape", t.x, layer="same", shape=t.x.type.shape[1:])))
    run_until(graph, "classify-layers", stop_at=frozenset({"same"}))
    assert [n.facts.reason for n in graph if n.layer == "same"] == ["the layer is named in stop_at"]
