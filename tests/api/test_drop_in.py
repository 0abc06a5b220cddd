"""`FastISM` and `NaiveISM` behave as fastISM 0.5.1 documents them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize
from tests.graphs import GRAPHS
from tests.oracle import as_model_takes, assert_close, make_inputs, naive_scan

L = keras.layers


@pytest.mark.parametrize("name", ["batch_norm_orders", "residual_tower", "other_inputs_meet_first"])
def test_fast_equals_naive_equals_the_oracle(name: str) -> None:
    model = randomize(GRAPHS[name]())
    index = next(i for i, t in enumerate(model.inputs) if t.name == "seq")
    inputs = make_inputs(model, 2)
    batch = as_model_takes(model, inputs)
    fast, naive = fc.FastISM(model, index), fc.NaiveISM(model, index)
    length = inputs["seq"].shape[1]
    expected = naive_scan(model, inputs, [(i, i + 1) for i in range(length)], lambda r: 0)
    assert_close(fast(batch), expected)
    assert_close(naive(batch), expected)


def test_several_outputs_are_a_flat_list() -> None:
    model = randomize(GRAPHS["several_outputs"]())
    x = make_inputs(model, 2)["seq"]
    for ism in (fc.FastISM(model, test_correctness=False), fc.NaiveISM(model)):
        scores = ism(x)
        assert isinstance(scores, list)
        assert [y.shape[:2] for y in scores] == [(2, 23), (2, 23)]


def test_change_ranges_and_replacement() -> None:
    model = randomize(GRAPHS["conv_same_even"]())
    x = make_inputs(model, 2)["seq"]
    ranges = [(3, 6), (20, 23), (0, 3)]
    window = np.random.default_rng(0).random((3, 4)).astype("float32")
    fast = fc.FastISM(model, change_ranges=ranges, test_correctness=False)
    assert fast.change_ranges == ranges
    assert_close(fast(x, window), naive_scan(model, {"seq": x}, ranges, lambda r: window))


@pytest.mark.parametrize("stop", ["conv1d", ["flatten"]])
def test_early_stop_layers(stop: Any) -> None:
    keras.backend.clear_session()
    model = randomize(GRAPHS["conv_valid"]())
    fast = fc.FastISM(model, early_stop_layers=stop)
    assert fast.program.plan.stops[0][1] == "the layer is named in stop_at"


def test_test_correctness_time_batch_cleanup() -> None:
    model = randomize(GRAPHS["batch_norm_orders"]())
    fast = fc.FastISM(model)
    assert fast.test_correctness(batch_size=3, replace_with=0.5, atol=1e-6) is True
    x = make_inputs(model, 2)["seq"]
    assert fast.time_batch(x) > 0
    assert fc.NaiveISM(model).time_batch(x) > 0
    fast.cleanup()
    fc.NaiveISM(model).cleanup()


def test_every_range_is_judged_where_the_first_comparison_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = fc.FastISM(randomize(GRAPHS["batch_norm_orders"]()))
    judged: list[int] = []
    monkeypatch.setattr(fast, "_naive", lambda *_: np.full(1, np.inf))
    monkeypatch.setattr(fast.program, "verify", lambda *_, ranges, **__: judged.append(ranges))
    assert fast.test_correctness(batch_size=1) is False
    assert judged == [fast.program.ranges.count]


def test_a_wrong_program_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastism_compiler.emit.tile import TILE

    right = TILE["slice_assign"]
    monkeypatch.setitem(TILE, "slice_assign", lambda step, node, delta, ref: right(step, node, delta, ref) + 0.01)
    model = randomize(GRAPHS["batch_norm_orders"]())
    with pytest.raises(fc.VerificationError, match="differ"):
        fc.FastISM(model)
    with pytest.raises(fc.VerificationError, match="max error"):
        fc.compile(model)
