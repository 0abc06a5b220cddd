"""Terms added into one value, one after the other, give what a sum of shifted pads gives."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastism_compiler.emit.kernels.overlap_add import overlap_add
from tests.programs import compile_tiles

UPDATE = "XlaDynamicUpdateSlice"
STARTS = [(0,), (3,), (0, 2), (0, 1, 2, 3, 4), (5, 0, 3, 3, 9, 1), tuple(range(12))]


def added(terms: list[tuple[int, Any]], width: int, in_place: bool) -> Any:
    """Through XLA, as the only one to update in place."""
    starts = [first for first, _ in terms]

    def run(arrays: list[Any]) -> Any:
        return overlap_add(list(zip(starts, arrays, strict=True)), width, in_place)

    return tf.function(run, jit_compile=True, autograph=False)([tf.constant(x) for _, x in terms]).numpy()


@pytest.mark.parametrize("starts", STARTS)
@pytest.mark.parametrize("more", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("in_place", [False, True])
def test_every_term_is_added_where_it_begins(starts: tuple[int, ...], more: tuple[int, ...], in_place: bool) -> None:
    rng = np.random.default_rng(0)
    terms = [(first, rng.integers(-9, 10, (2, 1 + k % 3, *more)).astype("float32")) for k, first in enumerate(starts)]
    width = max(first + x.shape[1] for first, x in terms) + 1
    expected = np.zeros((2, width, *more), np.float32)
    for first, x in terms:
        expected[:, first : first + x.shape[1]] += x
    np.testing.assert_array_equal(added(terms, width, in_place), expected)


@pytest.mark.parametrize("in_place", [False, True])
def test_operands_are_left_as_they_are(in_place: bool) -> None:
    """Nothing that somebody else reads is updated."""
    x = tf.constant(np.arange(12, dtype=np.float32).reshape(1, 12))

    def run(x: Any) -> Any:
        return overlap_add([(0, x)] * 6, 12, in_place), x + 0

    total, same = tf.function(run, jit_compile=True, autograph=False)(x)
    np.testing.assert_array_equal(total, 6 * x.numpy())
    np.testing.assert_array_equal(same, x.numpy())


def ops_in(concrete: Any) -> list[str]:
    """Every op of a traced function, its loops' among them."""
    graph = concrete.graph.as_graph_def()
    return [n.op for part in (graph.node, *(f.node_def for f in graph.library.function)) for n in part]


@pytest.mark.parametrize(("terms", "in_place", "updates"), [(4, True, 0), (5, True, 4), (12, True, 11), (12, False, 0)])
def test_many_terms_are_updates_and_few_are_pads(terms: int, in_place: bool, updates: int) -> None:
    def run(x: Any) -> Any:
        return overlap_add([(k, x) for k in range(terms)], 20, in_place)

    concrete = tf.function(run, autograph=False).get_concrete_function(tf.TensorSpec([2, 3]))
    assert ops_in(concrete).count(UPDATE) == updates


def test_only_programs_of_xla_add_in_place() -> None:
    """The second of two convolutions of nine taps: nine terms overlap."""
    x = keras.Input((40, 4))
    h = keras.layers.Conv1D(64, 9, activation="relu")(x)
    model = keras.Model(x, keras.layers.Conv1D(64, 9)(h))
    for jit in (True, False):
        program = compile_tiles(model, jit=jit, verify=False)
        (engine,) = program.engines
        concrete = engine.tile_loop(engine.shape_of_scan(1)).concrete
        assert (UPDATE in ops_in(concrete)) == jit, program.plan
