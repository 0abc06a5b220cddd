"""Lanes and devices: every job runs once, and results do not depend on how many of them there are."""

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
from fastism_compiler.runtime.devices import share_out
from tests.graphs import GRAPHS
from tests.oracle import assert_close, make_inputs, naive_scan


@pytest.mark.parametrize("devices", [1, 2, 3, 7])
@pytest.mark.parametrize("sequences", [1, 2, 3, 5, 8])
def test_every_job_runs_once_beside_its_sequence(devices: int, sequences: int) -> None:
    sequence = np.repeat(np.arange(sequences, dtype=np.int32), 3)
    jobs = Jobs(sequence, np.arange(len(sequence), dtype=np.int32)[::-1].copy(), np.zeros((len(sequence), 1, 4)))
    shares = share_out(sequences, jobs, devices)
    assert len(shares) <= devices
    np.testing.assert_array_equal(np.sort(np.concatenate([share.rows for share in shares])), np.arange(len(jobs)))
    for share in shares:
        own = jobs.sequence[share.rows]
        assert ((own >= share.first) & (own < share.stop)).all()
        np.testing.assert_array_equal(share.jobs(jobs).sequence + share.first, own)


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


@pytest.mark.parametrize("name", ["global_pools", "sequential"])
def test_all_lanes_run_one_program(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Sequences and jobs that do not share out evenly must not trace a second loop for the shorter lane."""
    model = randomize(GRAPHS[name]())
    program = with_lanes(monkeypatch, 2, model, batch_size=4)
    (engine,) = program.engines
    length = model.inputs[0].shape[1]
    for sequences in (3, 4):
        x = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (sequences, length))]
        program(x)
        program.saturate(x)
    assert len(engine.functions) == 2, "a reference pass, and a loop over tiles"


def test_memory_of_lanes() -> None:
    """They share the tables of one reference pass, and each has a tile."""
    x = keras.Input((400, 4))
    h = keras.layers.Conv1D(64, 9, padding="same", activation="relu")(x)
    h = keras.layers.Conv1D(64, 9, padding="same", activation="relu")(h)
    program = fc.compile(keras.Model(x, keras.layers.GlobalMaxPooling1D()(h)), batch_size=1, verify=False)
    (engine,) = program.engines
    tile = engine.tiling.rows(1) * engine.tiling.row_bytes
    bytes_of = {}
    for lanes in (8, 16):
        engine.lanes = lanes
        bytes_of[lanes] = program.plan.bytes
    assert bytes_of[16] - bytes_of[8] == 8 * tile
