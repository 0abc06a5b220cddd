from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastism_compiler.ir import BATCH, Graph, Node, TensorType, to_text
from fastism_compiler.ir.arithmetic import naive_total, reference_total
from fastism_compiler.ir.errors import PassError
from fastism_compiler.ir.interpreter import evaluate
from fastism_compiler.ir.ops import RULES
from fastism_compiler.ir.ops.rule import same_attrs

from tests.conftest import Golden
from tests.passes.graphs import Tiny, conv_relu_pool_dense, run_until


def mixed(t: Tiny) -> Node:
    """A value of which every position depends on every position of the sequence."""
    return t.op("softmax", t.x, axes=(1,), layer="mix")


def attention(t: Tiny, x: Node) -> Node:
    heads = [t.op("reshape", t.op("dense", x, t.parameter(4, 4)), shape=(x.type.extent(1), 2, 2)) for _ in range(3)]
    return t.op("reshape", t.op("attention", *heads, scale=0.5, layer="attention"), shape=(x.type.extent(1), 4))


def transformer_with_crop() -> Graph:
    """A residual attention behind a convolution, a convolution behind it, both over what a crop leaves."""
    t = Tiny()
    y = t.conv(t.x, 4, layer="conv_1")
    y = t.op("add", y, attention(t, y), layer="add")
    y = t.op("upsample", t.op("relu", y, layer="relu"), axis=1, size=2, layer="up")
    return t.finish(t.op("slice", t.conv(y, 2, layer="conv_2"), axis=1, begin=9, end=16, layer="crop"))


def test_transformer_with_crop(golden: Golden) -> None:
    golden(to_text(run_until(transformer_with_crop(), "crop-early")))


CASES: dict[str, Callable[[Tiny, Node], Node]] = {
    "relu": lambda t, x: t.op("relu", x),
    "a position's own term": lambda t, x: t.op("add", x, t.parameter(12, 4)),
    "a term of all positions": lambda t, x: t.op("multiply", x, t.op("reduce_max", x, axes=(1,), keepdims=True)),
    "a term of the input": lambda t, x: t.op("maximum", x, t.op("tanh", t.x)),
    "select": lambda t, x: t.op("select", t.op("greater", x, t.parameter(4)), x, t.x),
    "dense": lambda t, x: t.op("dense", x, t.parameter(4, 3)),
    "conv": lambda t, x: t.conv(x, 3),
    "strided conv": lambda t, x: t.conv(x, 3, taps=4, stride=2, pad=(2, 1)),
    "dilated conv": lambda t, x: t.conv(x, 3, dilation=3, pad=(3, 3)),
    "depthwise conv": lambda t, x: t.op("depthwise_conv", x, t.parameter(3, 4, 2), stride=1, dilation=2, pad=(2, 2)),
    "max pool": lambda t, x: t.op("max_pool", x, size=3, stride=2, pad=(1, 1)),
    "average pool": lambda t, x: t.op("avg_pool", x, size=3, stride=1, pad=(1, 1)),
    "layer norm": lambda t, x: t.op("subtract", x, t.op("reduce_mean", x, axes=(2,), keepdims=True)),
    "softmax of channels": lambda t, x: t.op("softmax", x, axes=(2,)),
    "attention": attention,
    "pad": lambda t, x: t.op("pad", x, axis=1, left=2, right=1),
    "pad of channels": lambda t, x: t.op("pad", x, axis=2, left=2, right=1),
    "flip": lambda t, x: t.op("flip", x, axis=1),
    "upsample": lambda t, x: t.op("upsample", x, axis=1, size=3),
    "subsample": lambda t, x: t.op("subsample", x, axis=1, step=2),
    "concat": lambda t, x: t.op("concat", x, t.op("exp", x), axis=2),
    "slice": lambda t, x: t.op("slice", x, axis=1, begin=2, end=10),
    "slice of channels": lambda t, x: t.op("slice", x, axis=2, begin=1, end=3),
    "split positions": lambda t, x: t.op("reshape", x, shape=(3, 4, 4)),
    "merged positions": lambda t, x: t.op("reshape", t.op("reshape", x, shape=(3, 4, 4)), shape=(12, 4)),
    "flat": lambda t, x: t.op("reshape", x, shape=(48,)),
    "swapped axes": lambda t, x: t.op("transpose", t.op("relu", t.op("transpose", x, perm=(0, 2, 1))), perm=(0, 2, 1)),
}


def meaning(graph: Graph) -> list[Any]:
    random = np.random.default_rng(0)
    weights = {str(n.attrs["binding"]): random.normal(size=[n.type.extent(i) for i in range(n.type.rank)])
               for n in graph if n.op == "parameter"}  # fmt: skip
    x = np.random.default_rng(1).normal(size=(2, 12, 4))
    return [evaluate(graph, [x], weights)[n] for n in graph.outputs]


def named_weights(graph: Graph) -> Graph:
    """A weight of its own for each parameter, whose shapes differ."""
    for number, node in enumerate(n for n in graph if n.op == "parameter"):
        node.attrs = {"binding": f"w{number}"}
    return graph


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("part", [(0.0, 0.4), (0.3, 0.7), (0.6, 1.0), (0.5, 0.5)], ids=str)
def test_each_op_makes_what_a_crop_leaves(name: str, part: tuple[float, float]) -> None:
    t = Tiny()
    y = CASES[name](t, mixed(t))
    length = y.type.extent(1)
    begin = min(int(part[0] * length), length - 1)
    end = max(int(part[1] * length), begin + 1)
    graph = named_weights(t.finish(t.op("slice", y, axis=1, begin=begin, end=end)))
    expected = meaning(graph)
    run_until(graph, "crop-early")
    np.testing.assert_allclose(meaning(graph)[0], expected[0], rtol=1e-12, atol=1e-12)
    assert y not in graph  # the one that makes all positions


def test_two_crops_share_what_both_leave() -> None:
    t = Tiny()
    y = t.op("relu", t.conv(mixed(t), 3))
    crops = [t.op("slice", y, axis=1, begin=b, end=e) for b, e in ((2, 6), (4, 9))]
    graph = named_weights(t.finish(*crops))
    expected = meaning(graph)
    run_until(graph, "crop-early")
    (relu,) = [n for n in graph if n.op == "relu"]
    assert relu.type.extent(1) == 7
    for got, wanted in zip(meaning(graph), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12)


@pytest.mark.parametrize("why", ["an output", "read whole", "another axis", "stop_at", "no crop"])
def test_what_is_needed_whole_stays(why: str) -> None:
    t = Tiny()
    y = t.op("relu", mixed(t), layer="relu")
    crop = t.op("slice", y, axis=1, begin=0, end=12 if why == "no crop" else 4)
    others = {
        "an output": [y],
        "read whole": [t.op("tanh", y)],
        "another axis": [t.op("slice", y, axis=2, begin=0, end=2)],
    }
    graph = t.finish(crop, *others.get(why, []))
    run_until(graph, "crop-early", stop_at=frozenset({"relu"} if why == "stop_at" else ()))
    (relu,) = [n for n in graph if n.op == "relu"]
    assert relu.type == TensorType((BATCH, 12, 4), "float32")


@pytest.mark.parametrize(("begin", "end", "made"), [(10, 15, 5), (0, 5, 24)])
def test_operands_side_by_side_are_not_cut_to_nothing(begin: int, end: int, made: int) -> None:
    t = Tiny()
    both = t.op("concat", mixed(t), t.op("tanh", mixed(t)), axis=1)
    graph = t.finish(t.op("slice", both, axis=1, begin=begin, end=end))
    expected = meaning(graph)
    run_until(graph, "crop-early")
    assert [n.type.extent(1) for n in graph if n.op == "concat"] == [made]
    np.testing.assert_allclose(meaning(graph)[0], expected[0], rtol=1e-12, atol=1e-12)


def test_windows_are_left_to_demand() -> None:
    t = Tiny()
    graph = t.finish(t.op("slice", t.conv(t.x, 3), axis=1, begin=4, end=8))
    before = str(run_until(graph.copy(), "classify-layers"))
    assert str(run_until(graph, "crop-early")) == before


def test_what_the_model_does_for_nothing_is_counted() -> None:
    graph = transformer_with_crop()
    work = naive_total(graph)
    run_until(graph, "crop-early")
    assert naive_total(graph) == work
    assert reference_total(graph) < work
    assert graph.dropped.elements > 0


def test_one_query_of_many_is_predicted_to_pay() -> None:
    """Nothing has a window here; the model itself runs all queries."""
    t = Tiny(length=200)
    y = attention(t, t.op("softmax", t.conv(t.x, 4), axes=(1,)))
    graph = run_until(t.finish(t.op("slice", y, axis=1, begin=100, end=101)), "choose-program")
    assert graph.prediction is not None
    assert graph.prediction.speed_up > 1.05


def test_a_model_without_a_crop_is_left_alone() -> None:
    graph = conv_relu_pool_dense()
    before = str(run_until(graph.copy(), "classify-layers"))
    assert str(run_until(graph, "crop-early")) == before
    assert graph.dropped.multiply_adds == 0


def test_a_rule_that_makes_too_many_positions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "conv", replace(RULES["conv"], cut=same_attrs))
    t = Tiny()
    graph = t.finish(t.op("slice", t.conv(mixed(t), 3), axis=1, begin=0, end=5))
    with pytest.raises(PassError, match="an op that makes some positions makes so many"):
        run_until(graph, "crop-early")
