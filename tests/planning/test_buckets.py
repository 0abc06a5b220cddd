from __future__ import annotations

from itertools import pairwise

import numpy as np
from fastism_compiler.ir import ChangeRanges, Section, TensorType
from fastism_compiler.passes import Context, default_pipeline
from fastism_compiler.passes.cost.rows import stored_size

from fastism_compiler.planning.buckets import scan_cost, split_by_edge, split_by_memory, split_by_width
from tests.passes.graphs import Tiny, conv_relu_pool_dense

LENGTH = 300
EVERYWHERE = ChangeRanges.of(None, LENGTH)


def clipped_cost(reach: int, each: float):  # type: ignore[no-untyped-def]
    """The widest window of a bucket, clipped at the edges, times its ranges, and `each` program's own cost."""

    def cost(members: np.ndarray) -> float:  # type: ignore[type-arg]
        lo, hi = np.maximum(members - reach, 0), np.minimum(members + reach + 1, LENGTH)
        return float((hi - lo).max() * len(members) + each)

    return cost


def test_narrow_windows_are_not_worth_a_second_program() -> None:
    assert len(split_by_edge(EVERYWHERE, LENGTH, split_by_width(EVERYWHERE), clipped_cost(5, 0))) == 1


def test_wide_windows_are_split_by_their_distance_to_the_edges() -> None:
    parts = split_by_edge(EVERYWHERE, LENGTH, split_by_width(EVERYWHERE), clipped_cost(140, 0))
    assert len(parts) > 1
    assert sorted(np.concatenate(parts).tolist()) == list(range(LENGTH))
    room = [np.minimum(p, LENGTH - 1 - p) for p in parts]
    assert all(a.min() >= b.max() for a, b in pairwise(room)), "farthest from the edges first"
    assert all((np.diff(p) > 0).all() for p in parts)


def test_a_costly_reference_pass_forbids_it() -> None:
    assert len(split_by_edge(EVERYWHERE, LENGTH, split_by_width(EVERYWHERE), clipped_cost(140, 1e6))) == 1


def test_few_ranges_are_not_split() -> None:
    few = ChangeRanges.of([(i, i + 1) for i in range(0, LENGTH, 10)], LENGTH)
    assert len(split_by_edge(few, LENGTH, split_by_width(few), clipped_cost(140, 0))) == 1


def test_the_cost_of_a_scan_follows_what_is_stored() -> None:
    """Two convolutions whose windows span the sequence: ranges at its ends need half of it."""

    def cost(members: np.ndarray) -> float:  # type: ignore[type-arg]
        t = Tiny(LENGTH)
        h = t.op("relu", t.conv(t.x, 8, layer="a", dilation=60, pad=(60, 60)), layer="r")
        graph = t.finish(t.conv(t.op("relu", t.conv(h, 8, layer="b", dilation=60, pad=(60, 60))), 8, layer="c"))
        ranges = EVERYWHERE.subset(members)
        return scan_cost(default_pipeline().run(graph, Context(ranges)), Context(ranges))

    ends = np.r_[0:30, LENGTH - 30 : LENGTH]
    middle = np.arange(120, 180)
    assert cost(ends) < 0.9 * cost(middle)
    assert cost(middle) < cost(np.r_[120:180, 60:90])


def test_a_dense_layer_costs_the_rows_of_its_kernel() -> None:
    """Its stored window of the flattened value, times its columns; nothing for the ops between."""
    context = Context(ChangeRanges.of([(3, 4)], 12))
    graph = default_pipeline().run(conv_relu_pool_dense(), context)
    (dense,) = [n for n in graph.nodes(Section.TILE) if n.op == "dense"]
    (rows, kernel) = dense.operands
    without = scan_cost(graph, context)
    kernel.type = TensorType((kernel.type.extent(0), 2 * kernel.type.extent(1)), "float32")
    assert scan_cost(graph, context) - without >= stored_size(rows) * kernel.type.extent(1) / 2


def cut_near_the_ends(*reaches: int):  # type: ignore[no-untyped-def]
    """Pairs that an edge keeps apart for changes nearer than some positions to either end."""

    def room(members: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        return np.minimum(members, LENGTH - 1 - members)

    def cut(members: np.ndarray) -> list[np.ndarray]:  # type: ignore[type-arg]
        return [room(members) < reach for reach in reaches if (room(members) < reach).any()]

    def cost(members: np.ndarray) -> float:  # type: ignore[type-arg]
        apart = sum((room(members) < reach).any() for reach in reaches)
        return float(len(members) * (1 + apart)) + 5

    return cost, cut


def test_what_an_edge_keeps_apart_is_cut_off_where_it_does() -> None:
    cost, cut = cut_near_the_ends(8)
    inner, outer = split_by_edge(EVERYWHERE, LENGTH, split_by_width(EVERYWHERE), cost, cut)
    assert inner.tolist() == list(range(8, LENGTH - 8))
    assert outer.tolist() == [*range(8), *range(LENGTH - 8, LENGTH)]


def test_two_edges_are_cut_at_one_or_both() -> None:
    cost, cut = cut_near_the_ends(8, 60)
    parts = split_by_edge(EVERYWHERE, LENGTH, split_by_width(EVERYWHERE), cost, cut)
    assert [len(p) for p in parts] == [LENGTH - 120, 104, 16]
    cost, cut = cut_near_the_ends(8, 9)
    assert [len(p) for p in split_by_edge(EVERYWHERE, LENGTH, split_by_width(EVERYWHERE), cost, cut)] == [282, 18]


def test_a_pair_that_is_apart_everywhere_is_not_cut_off() -> None:
    cost, cut = cut_near_the_ends(LENGTH)
    assert len(split_by_edge(EVERYWHERE, LENGTH, split_by_width(EVERYWHERE), cost, cut)) == 1


def test_models_without_pairs_are_planned_no_more_often() -> None:
    planned = []

    def cost(members: np.ndarray) -> float:  # type: ignore[type-arg]
        planned.append(members.tobytes())
        return float(len(members))

    split_by_edge(EVERYWHERE, LENGTH, split_by_width(EVERYWHERE), cost, lambda members: [])
    assert len(set(planned)) == 1 + 2 + 3 + 4, "in up to four equal parts, as ever"


def test_ranges_far_apart_are_cut_into_groups_until_each_fits() -> None:
    def need(members: np.ndarray) -> int:  # type: ignore[type-arg]
        return int(10 + np.ptp(EVERYWHERE.lo[members]))

    shuffled = np.random.default_rng(0).permutation(LENGTH)
    groups = split_by_memory(EVERYWHERE, [shuffled], need, 100)
    assert max(map(need, groups)) <= 100 and len(groups) == 4
    np.testing.assert_array_equal(np.concatenate(groups), np.arange(LENGTH))


def test_ranges_that_need_as_much_apart_stay_together() -> None:
    assert len(split_by_memory(EVERYWHERE, split_by_width(EVERYWHERE), lambda members: 1000, 100)) == 1
