from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from fastism_compiler.ir import ChangeRanges, Graph, Node, Section, to_text
from fastism_compiler.ir.errors import PassError
from fastism_compiler.passes import Context, Pass, Pipeline, default_pipeline
from fastism_compiler.passes.compose_convolutions import ComposeConvolutionsPass, cut_pairs
from fastism_compiler.passes.cost.kernels import composing_cost, contraction_cost
from fastism_compiler.passes.cost.programs import reference_cost
from fastism_compiler.passes.cost.rows import delta_ops, row_work

from tests.conftest import Golden
from tests.passes.graphs import Tiny
from tests.passes.meaning import numbers
from tests.passes.small_graphs import context_for, length_of, lowered
from tests.programs import TILES

LENGTH = 40
MIDDLE = ChangeRanges.of([(i, i + 1) for i in range(12, 28)], LENGTH)
EVERYWHERE = ChangeRanges.of(None, LENGTH)
ALWAYS = ComposeConvolutionsPass(least_gain=float("-inf"))


def composed(graph: Graph, ranges: ChangeRanges = MIDDLE, step: ComposeConvolutionsPass = ALWAYS) -> Graph:
    """The default pipeline up to the pass."""
    passes = default_pipeline().replace(step.name, step)
    last = passes.names().index(step.name) + 1
    return Pipeline(passes.passes[:last]).run(graph, Context(ranges, batch_size=2))


def convolutions(graph: Graph) -> list[Node]:
    return [n for n in graph.nodes(Section.TILE) if n.op == "conv"]


def pair(**second: object) -> Graph:
    t = Tiny(LENGTH)
    return t.finish(t.op("relu", t.conv(t.conv(t.x, 6, layer="a"), 5, layer="b", **second)))


def test_a_pair_and_what_else_reads_it(golden: Golden) -> None:
    """As in Sei: a pair, of which a third convolution and a sum read the result."""
    t = Tiny(LENGTH)
    skip = t.conv(t.conv(t.x, 6, layer="a"), 5, layer="b", dilation=2, pad=(2, 2))
    x = t.op("relu", t.conv(skip, 5, layer="c"), layer="relu")
    golden(to_text(composed(t.finish(t.op("add", x, skip, layer="sum")))))


def test_a_pair_becomes_one() -> None:
    (node,) = convolutions(composed(pair()))
    assert node.operands[1].type.shape == (5, 4, 5)
    assert node.attrs["pad"] == (2, 2)
    assert node.facts.ops == ("conv", "conv.1")
    assert node.layer == "b"


def test_dilations_may_differ() -> None:
    """Taps 2 apart on top of taps 4 apart lie 2 apart; 2 on top of 3 lie 1 apart, with zeros between."""
    t = Tiny(LENGTH)
    first = t.conv(t.x, 6, dilation=4, pad=(4, 4))
    (node,) = convolutions(composed(t.finish(t.conv(first, 5, dilation=2, pad=(2, 2)))))
    assert (node.attrs["dilation"], node.operands[1].type.extent(0), node.attrs["pad"]) == (2, 7, (6, 6))
    t = Tiny(LENGTH)
    first = t.conv(t.x, 6, dilation=3, pad=(3, 3))
    (node,) = convolutions(composed(t.finish(t.conv(first, 5, dilation=2, pad=(4, 0)))))
    assert (node.attrs["dilation"], node.operands[1].type.extent(0), node.attrs["pad"]) == (1, 11, (7, 3))


def test_a_longer_chain_is_composed_pair_by_pair() -> None:
    t = Tiny(LENGTH)
    y = t.conv(t.conv(t.conv(t.x, 6, layer="a"), 5, layer="b"), 3, layer="c")
    (node,) = convolutions(composed(t.finish(y)))
    assert node.facts.ops == ("conv", "conv.1", "conv.2")
    assert node.operands[1].type.shape == (7, 4, 3)


@pytest.mark.parametrize(
    "second",
    [{"stride": 2}, {"groups": 2}, {"stride": 2, "groups": 2, "pad": (0, 0)}],
    ids=["stride", "groups", "both"],
)
def test_strides_and_groups_are_left_alone(second: dict[str, object]) -> None:
    t = Tiny(LENGTH)
    first = t.conv(t.x, 6, layer="a")
    groups = second.get("groups", 1)
    kernel = t.parameter(3, 6 // int(str(groups)), 4)
    attrs = {"stride": 1, "dilation": 1, "groups": 1, "pad": (1, 1)} | second
    y = t.op("conv", first, kernel, layer="b", **attrs)
    assert len(convolutions(composed(t.finish(y)))) == 2


def test_other_ops_between_or_below_are_left_alone() -> None:
    t = Tiny(LENGTH)
    y = t.conv(t.op("relu", t.conv(t.x, 6)), 5)
    depthwise = t.op("depthwise_conv", y, t.parameter(3, 5, 1), stride=1, dilation=1, pad=(1, 1))
    assert len(convolutions(composed(t.finish(depthwise)))) == 2


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ((1, 1), (1, 1), [0, 39]),  # same: the second reads a zero where a change at either end would go
        ((0, 0), (0, 0), []),  # valid: nothing is read where the first one ends
        ((2, 0), (2, 0), []),  # causal: a change runs to the right only, where nothing reads what is beyond
        ((0, 0), (1, 1), [0, 1, 38, 39]),
        ((1, 1), (0, 0), []),
        ((2, 0), (0, 2), [38, 39]),
        ((4, 4), (1, 1), []),  # zeros enough that the first one never ends
    ],
)
def test_where_an_edge_comes_between(first: tuple[int, int], second: tuple[int, int], apart: list[int]) -> None:
    def graph() -> Graph:
        t = Tiny(LENGTH)
        return t.finish(t.conv(t.conv(t.x, 6, pad=first), 5, pad=second))

    whole = composed(graph(), EVERYWHERE)
    assert len(convolutions(whole)) == (2 if apart else 1)
    assert [np.flatnonzero(cut).tolist() for cut in cut_pairs(whole)] == ([apart] if apart else [])
    rest = EVERYWHERE.subset(np.setdiff1d(np.arange(LENGTH), apart))
    assert len(convolutions(composed(graph(), rest))) == 1


def test_what_nothing_reads_cuts_nothing() -> None:
    """A crop behind the pair: outputs near the ends are not demanded."""

    def graph(begin: int) -> Graph:
        t = Tiny(LENGTH)
        return t.finish(t.op("slice", t.conv(t.conv(t.x, 6), 5), axis=1, begin=begin, end=LENGTH - begin))

    assert len(convolutions(composed(graph(0), EVERYWHERE))) == 2
    assert len(convolutions(composed(graph(1), EVERYWHERE))) == 1


@pytest.mark.parametrize("name", ["linear_same", "linear_dilated", "linear_mixed"])
def test_the_meaning_stays_the_same_inside(name: str) -> None:
    """`test_meaning.py` has every position, and so edges that keep these apart."""
    model = lowered(name)
    middle = length_of(model.graph) // 2
    context = context_for(model.graph, [(middle - 1, middle), (middle, middle + 2), (middle + 1, middle + 2)])
    drawn = numbers(model, context)
    graph = TILES.run(model.graph.copy(), context)
    assert any(len(n.facts.ops) > 1 for n in graph.nodes(Section.TILE))
    rows = drawn.rows(graph, stored=True)
    for node, expected in zip(graph.tile_outputs, drawn.outputs(graph, mutated=True), strict=True):
        np.testing.assert_allclose(rows[node], expected, rtol=1e-9, atol=1e-9)


# Whether it pays


def wide_pair(channels: int = 64, taps: int = 9) -> Graph:
    t = Tiny(200)
    return t.finish(t.op("relu", t.conv(t.conv(t.x, channels, taps, layer="a"), channels, taps, layer="b")))


def test_it_pays_where_few_channels_become_many() -> None:
    many = ChangeRanges.of([(i, i + 1) for i in range(50, 150)], 200)
    assert len(convolutions(composed(wide_pair(), many, ComposeConvolutionsPass()))) == 1


def test_few_rows_do_not_pay_for_the_kernel() -> None:
    few = ChangeRanges.of([(100, 101)], 200)
    assert len(convolutions(composed(wide_pair(), few, ComposeConvolutionsPass()))) == 2


def test_a_bottleneck_stays() -> None:
    """64 channels, 2, 64: two convolutions read and write little; one for both would meet every pair of channels."""
    t = Tiny(200, channels=64)
    graph = t.finish(t.op("relu", t.conv(t.conv(t.x, 2, 9), 64, 9)))
    many = ChangeRanges.of([(i, i + 1) for i in range(50, 150)], 200)
    left = composed(graph, many, ComposeConvolutionsPass())
    assert len(convolutions(left)) == 2
    assert not any(n.op == "compose_kernels" for n in left)
    assert cut_pairs(left) == []


def test_what_others_read_is_not_saved() -> None:
    """The least gain between what a pair saves alone, and what it saves where a sum reads the first one too."""
    many = ChangeRanges.of([(i, i + 1) for i in range(50, 150)], 200)
    context = Context(many, batch_size=2)

    def shared() -> Graph:
        t = Tiny(200)
        first = t.conv(t.x, 64, 9)
        return t.finish(t.op("add", t.conv(first, 64, 9), first))

    first, second = convolutions(composed(shared(), many, ComposeConvolutionsPass(least_gain=1e18)))
    (one,) = convolutions(composed(wide_pair(), many))
    share = composing_cost(one.operands[1], context) / many.count
    gain = contraction_cost(second, context) - contraction_cost(one, context) - share
    step = ComposeConvolutionsPass(least_gain=gain + contraction_cost(first, context) / 2)
    assert len(convolutions(composed(wide_pair(), many, step))) == 1
    assert [n.facts.ops for n in convolutions(composed(shared(), many, step))] == [("conv",), ("conv.1",)]
    both = convolutions(composed(shared(), many, replace(step, least_gain=gain - 1)))
    assert [n.facts.ops for n in both] == [("conv",), ("conv", "conv.1")]


def test_what_is_an_output_itself_stays() -> None:
    t = Tiny(LENGTH)
    first = t.conv(t.x, 6)
    graph = t.finish(first, t.conv(first, 5))
    passes = default_pipeline().replace("compose-convolutions", ALWAYS)
    lowered_graph = passes.run(graph, Context(MIDDLE, batch_size=2, sparse=True))
    assert len(convolutions(lowered_graph)) == 2


# What the planner makes of it


def test_the_planner_counts_one_convolution() -> None:
    graph = default_pipeline().replace("compose-convolutions", ALWAYS).run(pair(), Context(MIDDLE, batch_size=2))
    (node,) = convolutions(graph)
    first, second = (n for n in graph.nodes(Section.REFERENCE) if n.op == "conv")
    assert delta_ops(graph) == {first: node, second: node}
    assert row_work(graph, MIDDLE.count) == 5 * 4 * 5


def test_composing_is_part_of_the_reference_pass() -> None:
    """Every tap of the first kernel meets the second one, 3 x 6 x 5; each makes a product. Once for 2 sequences."""
    context = Context(MIDDLE, batch_size=2)
    two = default_pipeline().remove("compose-convolutions").run(pair(), context)
    one = default_pipeline().replace("compose-convolutions", ALWAYS).run(pair(), context)
    (node,) = convolutions(one)
    cost = composing_cost(node.operands[1], context)
    machine, moved = context.machine, 5 * 4 * 5 + 3 * (3 * 6 * 5)
    assert cost == 3 * 4 * (3 * 6 * 5) + machine.per_byte * 4 * moved + 5 * machine.per_start
    assert reference_cost(one, context) - reference_cost(two, context) == pytest.approx(cost / 2)


# Its promise


class MovedPadPass(Pass):
    """Lets the second convolution of a composed pair read further left than it does."""

    name = "moved-pad"

    def run(self, graph: Graph, context: Context) -> None:
        (node,) = convolutions(graph)
        kernel = node.operands[1]
        kernel.attrs = {**kernel.attrs, "pads": ((-20, 1), (22, 1))}


class ThirdLayerPass(MovedPadPass):
    """The same for the first two of three."""

    def run(self, graph: Graph, context: Context) -> None:
        (node,) = convolutions(graph)
        kernel = node.operands[1].operands[0]
        kernel.attrs = {**kernel.attrs, "pads": ((-20, 1), (22, 1))}


def chain_of_three() -> Graph:
    t = Tiny(LENGTH)
    return t.finish(t.conv(t.conv(t.conv(t.x, 6, layer="a"), 5, layer="b"), 3, layer="c"))


@pytest.mark.parametrize(("damage", "build"), [(MovedPadPass(), pair), (ThirdLayerPass(), chain_of_three)])
def test_an_edge_that_comes_between_is_refused(damage: Pass, build: Callable[[], Graph]) -> None:
    passes = default_pipeline().replace("compose-convolutions", ALWAYS).insert_after("compose-convolutions", damage)
    message = r"(?s)after compose-convolutions: an edge comes between convolutions that run as one, for change 0.*conv"
    with pytest.raises(PassError, match=message):
        passes.run(build(), Context(MIDDLE, batch_size=2))
