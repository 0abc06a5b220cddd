from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from fastism_compiler.ir import to_text
from fastism_compiler.ir.ranges import ChangeRanges
from fastism_compiler.passes import Context, default_pipeline
from fastism_compiler.passes.cost.programs import row_cost

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.conftest import Golden
from tests.oracle import assert_close, make_inputs, naive_scan
from tests.passes.graphs import Tiny, conv_relu_pool_dense, run_until, wide_convolutions
from tests.programs import compile_tiles

L = keras.layers


def test_conv_relu_pool_dense(golden: Golden) -> None:
    golden(to_text(run_until(conv_relu_pool_dense(), "choose-program")))


def test_a_wide_convolution_over_a_long_sequence_gains() -> None:
    graph = run_until(wide_convolutions(), "choose-program")
    assert graph.prediction is not None
    assert graph.prediction.speed_up > 3


def test_what_xla_would_fuse_costs_more_without_it() -> None:
    def speed_up(jit: bool) -> float:
        prediction = (
            default_pipeline().run(wide_convolutions(), Context(ChangeRanges.of(None, 500), jit=jit)).prediction
        )
        assert prediction is not None
        return prediction.speed_up

    assert speed_up(jit=True) > 1.5 * speed_up(jit=False)


def test_a_tile_that_stays_in_cache_costs_less() -> None:
    def cost(cache: int | None) -> float:
        context = Context(ChangeRanges.of(None, 500), core_cache=cache)
        return row_cost(default_pipeline().run(wide_convolutions(), context), context)

    assert cost(16 << 20) < 0.9 * cost(None)


def test_an_output_that_does_not_change_costs_nothing() -> None:
    t = Tiny()
    graph = run_until(t.finish(t.op("relu", t.parameter(3))), "choose-program")
    assert graph.prediction is not None
    assert not graph.prediction.naive


@pytest.fixture(scope="module")
def model() -> Any:
    """Its first layer spreads every change over the whole sequence, and arithmetic is most of its time."""
    x = inputs = L.Input((12, 4), name="seq")
    x = L.LayerNormalization(axis=[1, 2])(x)
    x = L.Dense(16)(L.Dense(512, activation="relu")(L.Dense(512, activation="relu")(x)))
    return float64_clone(randomize(keras.Model(inputs, [L.Dense(16)(L.Flatten()(x)), x])))


@pytest.fixture(scope="module")
def program(model: Any) -> fc.CompiledISM:
    return fc.compile(model, jit=False)


def test_a_model_that_gains_nothing_is_naive_and_the_plan_says_so(program: fc.CompiledISM) -> None:
    assert program.plan.naive
    assert program.plan.speed_up == 1
    assert "nothing to gain" in str(program.plan)


def test_a_naive_program_scores_as_the_model_does(model: Any, program: fc.CompiledISM) -> None:
    inputs = make_inputs(model, 2, "float64")
    naive = naive_scan(model, inputs, [(i, i + 1) for i in range(12)], lambda r: 0)
    assert_close(program(inputs["seq"]), naive, atol=1e-12, rtol=1e-9)
    effects = [y - np.asarray(r)[:, None] for y, r in zip(naive, program.reference(inputs["seq"]), strict=True)]
    assert_close(program(inputs["seq"], delta=True), effects, atol=1e-12, rtol=1e-9)


def test_a_naive_program_saturates_and_takes_variants(model: Any, program: fc.CompiledISM) -> None:
    x = make_inputs(model, 2, "float64")["seq"]
    tile = compile_tiles(model, jit=False)
    assert not tile.plan.naive
    assert_close(program.saturate(x), tile.saturate(x), atol=1e-12, rtol=1e-9)
    assert_close(program.saturate(x, delta=True), tile.saturate(x, delta=True), atol=1e-12, rtol=1e-9)
    variants = [(0, 3, "A"), (1, 5, "GGT"), (1, 0, 2)]
    assert_close(program.variants(x, variants), tile.variants(x, variants), atol=1e-12, rtol=1e-9)


def test_a_replacement_equal_to_the_sequence_is_the_reference_exactly(model: Any, program: fc.CompiledISM) -> None:
    x = make_inputs(model, 2, "float64")["seq"]
    for y, reference in zip(program(x, x[:, :, None]), program.reference(x), strict=True):
        np.testing.assert_array_equal(y, np.broadcast_to(np.asarray(reference)[:, None], y.shape))
    assert not any(y.any() for y in program(x, x[:, :, None], delta=True))
