"""What a plan says of memory follows what XLA keeps; `benchmarks.memory` measures it."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from fastism_compiler.passes import TWO_CORES
from tensorflow.python.client import device_lib

import fastism_compiler as fc
from fastism_compiler.host import hardware
from fastism_compiler.models.randomize import randomize
from fastism_compiler.planning import memory
from fastism_compiler.planning.memory import tile_bytes

LENGTH, FILTERS = 400, 64
TABLE = 4 * LENGTH * FILTERS


def planned_bytes(convolutions: int, bias: bool) -> int:
    h = x = keras.Input((LENGTH, 4))
    for _ in range(convolutions):
        h = keras.layers.Conv1D(FILTERS, 3, padding="same", activation="relu", use_bias=bias)(h)
    program = fc.compile(keras.Model(x, keras.layers.GlobalMaxPooling1D()(h)), batch_size=1, verify=False)
    for engine in program.engines:
        engine.lanes = engine.sharing = 1
        engine.graph.tiling = replace(engine.tiling, near_rows=1)  # tiles smaller than the reference pass
    return program.plan.bytes


@pytest.mark.parametrize(("bias", "values"), [(False, 1), (True, 2)])
def test_a_deeper_model_keeps_a_table_a_layer_and_the_product_that_it_waits_for(bias: bool, values: int) -> None:
    """XLA adds the bias for the activation and, when the chain is done, for the table: the product lives until then."""
    deep, deeper = planned_bytes(8, bias), planned_bytes(9, bias)
    kernel = 4 * 3 * FILTERS * FILTERS
    assert values * TABLE <= deeper - deep <= values * TABLE + 2 * kernel


@pytest.mark.parametrize("lanes", [1, 2, 8])
def test_the_tiles_of_all_lanes_take_a_part_of_a_small_budget(lanes: int) -> None:
    assert lanes * tile_bytes(100 << 20, lanes, TWO_CORES) <= 25 << 20
    assert tile_bytes(8 << 30, lanes, TWO_CORES) == 64 << 20


def test_the_default_budget_is_half_of_the_smallest_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 64 << 30)
    assert memory.parse_budget(None) == 32 << 30
    monkeypatch.setattr(hardware, "runs_on_gpu", lambda: True)
    devices = [SimpleNamespace(device_type=kind, memory_limit=n << 30) for kind, n in (("CPU", 1), ("GPU", 16))]
    monkeypatch.setattr(device_lib, "list_local_devices", lambda: devices)
    assert memory.parse_budget(None) == 8 << 30
    assert memory.parse_budget("2GiB") == 2 << 30


def long_model() -> keras.Model:
    """What its tables hold of a sequence is most of what it takes."""
    h = x = keras.Input((1200, 4))
    for _ in range(6):
        h = keras.layers.Conv1D(16, 3, padding="same", activation="relu")(h)
    return randomize(keras.Model(x, keras.layers.Dense(2)(keras.layers.GlobalMaxPooling1D()(h))))


def test_ranges_are_scored_in_groups_where_the_tables_of_all_exceed_the_budget() -> None:
    model = long_model()
    options = {"batch_size": 1, "jit": False, "verify": False}
    whole = fc.compile(model, **options)
    small = fc.compile(model, memory_budget=0.5 * whole.plan.bytes, **options)
    assert len(small.buckets) > len(whole.buckets)
    assert any("groups" in note for note in small.plan.notes)
    assert small.plan.bytes <= 0.5 * whole.plan.bytes
    x = np.eye(4, dtype="float32")[np.arange(1200) % 4][None]
    variants = [(0, 1199, "C"), (0, 3, "A"), (0, 600, "GG"), (0, 0, "T"), (0, 900, "CC")]
    np.testing.assert_allclose(small(x), whole(x), atol=1e-6)
    np.testing.assert_allclose(small.variants(x, variants), whole.variants(x, variants), atol=1e-6)


def test_the_default_budget_refuses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs are planned for half of what is free; they may take all of it, and then the model itself runs."""
    model = long_model()
    need = fc.compile(model, ranges=[(9, 10)], verify=False, memory_budget="1GiB", batch_size=1).plan.bytes
    for free, naive in ((1.5 * need, False), (0.5 * need, True)):
        monkeypatch.setattr(memory, "free_memory", lambda free=free: free)
        plan = fc.compile(model, ranges=[(9, 10)], verify=False, batch_size=1).plan
        assert plan.naive == naive
        assert any("the model itself" in note for note in plan.notes) == naive
