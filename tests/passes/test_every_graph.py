"""The pipeline over every small graph, nothing emitted: it verifies after each pass, and stores whatever changes."""

from __future__ import annotations

from typing import Any

import pytest
from fastism_compiler.ir import ChangeRanges, Section
from fastism_compiler.passes import Context, default_pipeline

from fastism_compiler.frontend.keras.inputs import find_sequence
from fastism_compiler.frontend.keras.lowering import functional_graph, lower
from tests.graphs import GRAPHS


def ranges_of(length: int) -> list[Any]:
    """Every position, and three ranges of unequal width."""
    return [None, [(0, min(2, length)), (length // 2, length // 2 + 1), (length // 3, length)]]


@pytest.mark.parametrize("sparse", [False, True], ids=["values", "windows"])
@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_what_changes_is_stored(name: str, sparse: bool) -> None:
    model = GRAPHS[name]()
    position = find_sequence(functional_graph(model), "seq" if len(model.inputs) > 1 else 0)
    length = model.inputs[position].shape[1]
    lowered = lower(model, position).graph
    for ranges in ranges_of(length):
        context = Context(ChangeRanges.of(ranges, length), frozenset(), jit=True, batch_size=3, sparse=sparse)
        graph = default_pipeline().run(lowered.copy(), context)
        stored = [n for n in graph.nodes(Section.TILE) if n.has_window and n.facts.carrier]
        for node in stored:
            changes, carrier = node.window.ranges, node.carrier
            some = changes.hi > changes.lo
            assert (carrier.start <= changes.lo)[some].all(), node
            assert (carrier.stop >= changes.hi)[some].all(), node
        assert graph.tiling is not None
        assert len(graph.tiling.groups) == len(context.ranges.lo)
