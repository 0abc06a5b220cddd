"""Lanes: every job runs once, in the lane of its sequence, and results do not depend on how many there are."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from fastism_compiler import compiler
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.host import hardware
from fastism_compiler.models.randomize import randomize
from fastism_compiler.mutations.jobs import Jobs
from fastism_compiler.runtime import lanes
from tests.graphs import GRAPHS
from tests.oracle import assert_close, make_inputs, naive_scan


def jobs_of(sequence: list[int]) -> Jobs:
    count = len(sequence)
    return Jobs(np.array(sequence, np.int32), np.arange(count, dtype=np.int32)[::-1].copy(), np.zeros((count, 1, 4)))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("sequences", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("sharing", [1, 2])
def test_every_job_runs_once_beside_its_sequence(count: int, sequences: int, sharing: int) -> None:
    jobs = jobs_of([s for s in range(sequences) for _ in range(3)])
    cut = lanes.cut_lanes(sequences, jobs, count, min(sharing, count))
    assert len(cut) <= count
    np.testing.assert_array_equal(np.sort(np.concatenate([lane.rows for lane in cut])), np.arange(len(jobs)))
    for lane in cut:
        own = jobs.sequence[lane.rows]
        assert ((own >= lane.first) & (own < lane.stop)).all()
        np.testing.assert_array_equal(lane.jobs(jobs).sequence + lane.first, own)


def test_one_sequence_is_shared_by_neighbouring_ranges() -> None:
    jobs = jobs_of([0] * 10)
    first, second = lanes.cut_lanes(1, jobs, 4, 2)
    assert jobs.change[first.rows].max() < jobs.change[second.rows].min()


def test_one_lane_on_a_gpu_or_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 1)
    assert hardware.default_lanes() == 1
    monkeypatch.setattr(tf.config.threading, "get_intra_op_parallelism_threads", lambda: 0)
    monkeypatch.setattr(hardware, "usable_cores", lambda: 64)
    assert hardware.default_lanes() == 8
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["one"])
    assert hardware.default_lanes() == 1


def with_lanes(monkeypatch: pytest.MonkeyPatch, count: int, model: Any, **options: Any) -> Any:
    monkeypatch.setattr(compiler, "default_lanes", lambda: count)
    return fc.compile(model, verify=False, **options)


@pytest.mark.parametrize("name", ["residual_tower", "several_outputs", "global_pools", "recurrent"])
@pytest.mark.parametrize("batch", [1, 3])
def test_lanes_do_not_change_results(monkeypatch: pytest.MonkeyPatch, name: str, batch: int) -> None:
    model = float64_clone(randomize(GRAPHS[name]()))
    x = make_inputs(model, batch=batch, dtype="float64")
    length = x["seq"].shape[1]
    program = with_lanes(monkeypatch, 2, model)
    naive = naive_scan(model, x, [(i, i + 1) for i in range(length)], lambda r: 0)
    assert_close(program(x["seq"]), naive, atol=1e-12, rtol=1e-9)
    single = with_lanes(monkeypatch, 1, model)
    variants = [(batch - 1, 3, "A"), (0, 5, "C"), (batch - 1, 0, "T")]  # the sequences between have none
    for call in (
        lambda p: p.saturate(x["seq"], delta=True),
        lambda p: p.variants(x["seq"], variants),
        lambda p: p.reference(x["seq"]),
    ):
        flat = [tf.nest.flatten(call(p)) for p in (program, single)]
        for ours, theirs in zip(*flat, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


def test_all_lanes_run_one_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """An odd number of sequences must not compile a second program for the shorter lane."""
    model = randomize(GRAPHS["global_pools"]())
    program = with_lanes(monkeypatch, 2, model, batch_size=4)
    (engine,) = program.engines
    length = model.inputs[0].shape[1]
    for sequences in (3, 4):
        x = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (sequences, length))]
        program(x)
        program.saturate(x)
    assert {spec.sequences for spec in engine.functions} == {2}
    assert len(engine.functions) == 2, "a scan, and a saturation"


def test_a_dense_layer_that_lanes_would_read_too_often_keeps_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beluga's dense kernel: 16 neighbouring ranges share a slice of it, so a tile holds 16 rows per sequence."""
    model = fc.models.beluga(scale=0.3)
    few = with_lanes(monkeypatch, 8, model, batch_size=8)
    assert few.engines[0].lanes == 1
    pooled = with_lanes(monkeypatch, 8, randomize(GRAPHS["global_pools"]()), batch_size=8)
    assert pooled.engines[0].lanes == 8


def test_memory_of_lanes_that_share_a_sequence() -> None:
    """Each has its own reference pass, kernels in its products' order, and tile."""
    x = keras.Input((400, 4))
    h = keras.layers.Conv1D(64, 9, padding="same", activation="relu")(x)
    h = keras.layers.Conv1D(64, 9, padding="same", activation="relu")(h)
    program = fc.compile(keras.Model(x, keras.layers.GlobalMaxPooling1D()(h)), batch_size=1, verify=False)
    (engine,) = program.engines
    engine.lanes = engine.sharing = 1
    alone = program.plan.bytes
    engine.lanes = engine.sharing = 2
    assert program.plan.bytes > alone + 4 * 400 * 64 + 4 * 9 * 64 * 64
