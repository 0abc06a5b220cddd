from __future__ import annotations

from dataclasses import replace

import keras
import numpy as np
import pytest
from fastism_compiler.ir import Graph, Kept, Section, to_text
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.verifier import verify

from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.conftest import Golden
from tests.graphs import GRAPHS
from tests.oracle import assert_close, make_inputs, naive_scan
from tests.passes.graphs import conv_relu_pool_dense, promises_until
from tests.passes.graphs import run_until as run_tiny
from tests.passes.small_graphs import NAMES, length_of, lowered, run_until
from tests.programs import compile_tiles


def middle(length: int) -> list[tuple[int, int]]:
    """A position in the middle of a sequence, and a range that begins there."""
    return [(length // 2, length // 2 + 1), (length // 2, min(length // 2 + 3, length))]


def trimmed(graph: Graph) -> list[Kept]:
    return [n.facts.kept for n in graph if n.facts.kept is not None]


def test_conv_relu_pool_dense(golden: Golden) -> None:
    golden(to_text(run_tiny(conv_relu_pool_dense(), "trim-tables", ranges=[(8, 9), (9, 11)])))


def test_a_scan_of_every_position_keeps_everything() -> None:
    assert not trimmed(run_tiny(conv_relu_pool_dense(), "trim-tables"))


@pytest.mark.parametrize("end", ["first", "stop"])
@pytest.mark.parametrize("name", NAMES)
def test_a_table_one_position_short_is_refused(name: str, end: str) -> None:
    graph = run_until(name, "trim-tables", ranges=middle(length_of(lowered(name).graph)))
    promises = promises_until("trim-tables")
    verify(graph, promises)
    for node in graph:
        kept = node.facts.kept
        if kept is not None:
            moved = getattr(kept, end) + (1 if end == "first" else -1)
            node.facts.kept = replace(kept, **{end: moved})
            with pytest.raises(IRError, match="read"):
                verify(graph, promises)
            node.facts.kept = kept


def test_what_else_is_read_is_kept_whole() -> None:
    """A stop reads every position of what is assigned onto."""
    graph = run_until("attention", "trim-tables", ranges=[(5, 6)])
    whole = {n.operands[1] for n in graph.nodes(Section.TILE) if n.op == "materialise" and len(n.operands) > 1}
    assert all(n.facts.kept is None for n in whole)


@pytest.mark.parametrize("name", ["residual_tower", "global_pools", "attention_pools", "u_net", "channels_first"])
def test_scores_read_trimmed_tables(name: str) -> None:
    model = float64_clone(randomize(GRAPHS[name]()))
    inputs = make_inputs(model, batch=2, dtype="float64")
    ranges = middle(inputs["seq"].shape[1])
    program = compile_tiles(model, ranges=ranges, jit=False, verify=False)
    assert trimmed(program.graph)
    naive = naive_scan(model, inputs, ranges, lambda r: 0)
    assert_close(program(np.asarray(inputs["seq"])), naive, atol=1e-12, rtol=1e-9)


def test_memory_does_not_grow_with_the_length() -> None:
    def planned(length: int) -> int:
        inputs = keras.Input((length, 4))
        x = keras.layers.Conv1D(64, 5, padding="same", activation="relu")(inputs)
        model = keras.Model(inputs, keras.layers.GlobalMaxPooling1D()(keras.layers.Conv1D(64, 5, padding="same")(x)))
        graph = compile_tiles(model, ranges=[(length // 2, length // 2 + 1)], verify=False).graph
        return sum(kept.extent for kept in trimmed(graph))

    assert planned(400) == planned(800) > 0
