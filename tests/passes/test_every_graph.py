"""The pipeline over every small graph, nothing emitted: it verifies after each pass, and stores whatever changes."""

from __future__ import annotations

import pytest
from fastism_compiler.ir import Section
from fastism_compiler.passes import default_pipeline

from tests.passes.small_graphs import NAMES, context_for, length_of, lowered, ranges_of


@pytest.mark.parametrize("sparse", [False, True], ids=["values", "windows"])
@pytest.mark.parametrize("name", NAMES)
def test_what_changes_is_stored(name: str, sparse: bool) -> None:
    model = lowered(name).graph
    for ranges in ranges_of(length_of(model)):
        graph = model.copy()
        context = context_for(graph, ranges, sparse)
        default_pipeline().run(graph, context)
        stored = [n for n in graph.nodes(Section.TILE) if n.has_window and n.facts.carrier]
        for node in stored:
            changes, carrier = node.window.ranges, node.carrier
            some = changes.hi > changes.lo
            assert (carrier.start <= changes.lo)[some].all(), node
            assert (carrier.stop >= changes.hi)[some].all(), node
        assert graph.tiling is not None
        assert len(graph.tiling.groups) == len(context.ranges.lo)
