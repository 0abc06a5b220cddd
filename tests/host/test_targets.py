"""Programs planned for a machine that need not be the one they are compiled on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from fastism_compiler.passes import ONE_GPU, TWO_CORES, Machine

import fastism_compiler as fc
from fastism_compiler.host import targets
from fastism_compiler.host.targets import machine_for
from fastism_compiler.models.randomize import randomize
from fastism_compiler.runtime.naive import in_batches
from tests.export.programs import compiled, model_named
from tests.graphs import GRAPHS
from tests.oracle import assert_close, make_inputs, naive_scan


@pytest.mark.parametrize(
    ("name", "jit"),
    [("residual_tower", False), ("several_outputs", False), ("global_pools", False), ("residual_tower", True)],
)
def test_results_do_not_depend_on_it(name: str, jit: bool) -> None:
    model = model_named(name)
    x = make_inputs(model, batch=3)
    length = x["seq"].shape[1]
    naive = naive_scan(model, x, [(i, i + 1) for i in range(length)], lambda r: 0)
    for target in ("cpu", "gpu", Machine(tile_rows=3)):
        assert_close(compiled(model, target=target, jit=jit)(x["seq"]), naive)


def test_a_gpu_gets_larger_tiles_in_one_lane() -> None:
    model = fc.models.basset(length=200)
    cpu, gpu, small = (compiled(model, target=t, batch_size=8) for t in ("cpu", "gpu", Machine(tile_rows=5)))
    rows = [p.engines[0].tiling.rows(8) for p in (cpu, gpu, small)]
    assert rows[2] <= 5 < rows[0] < rows[1]
    assert gpu.engines[0].lanes == 1
    assert gpu.engines[0].context.slice_bytes is None and gpu.engines[0].context.shared_cache is None


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_barriers_are_for_cpus(target: str, tmp_path: Path) -> None:
    model = randomize(GRAPHS["residual_tower"]())
    compiled(model, target=target).export(tmp_path / "modules", "stablehlo")
    text = (tmp_path / "modules" / "scan.mlir").read_text()
    assert ("stablehlo.if" in text or "stablehlo.case" in text) == (target == "cpu")


def test_by_default_it_is_where_programs_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine_for(None, ()) == TWO_CORES
    assert machine_for(None, ("CPU:0", "GPU:1")) == ONE_GPU
    monkeypatch.setattr(targets, "runs_on_gpu", lambda: True)
    assert machine_for(None, ()) == ONE_GPU
    assert machine_for(None, ("CPU:0",)) == TWO_CORES
    assert machine_for("cpu", ()) == TWO_CORES
    assert machine_for(TWO_CORES, ("GPU:0",)) is TWO_CORES


@pytest.mark.parametrize("target", ["GPU", "tpu", 3, "", ["gpu"]])
def test_other_targets_are_refused(target: Any) -> None:
    with pytest.raises(fc.OptionError, match="no such target"):
        fc.compile(randomize(GRAPHS["residual_tower"]()), "seq", target=target, verify=False)


def test_whole_mutants_at_once() -> None:
    model = model_named("residual_tower")
    counts = [compiled(model, whole=True, target=t).naive.rows for t in ("cpu", "gpu", Machine(whole_rows=7))]
    assert counts == [64, 1024, 7]


def test_a_few_rows_are_not_filled_up_to_many() -> None:
    rows = []
    x = np.arange(6.0).reshape(3, 2)

    def score(block: list[Any]) -> list[Any]:
        rows.append(len(block[0]))
        return [2 * block[0]]

    for count in (1, 3, 3 * 40):
        (y,) = in_batches(score, [np.tile(x, (40, 1))[:count]], 100)
        np.testing.assert_array_equal(y, 2 * np.tile(x, (40, 1))[:count])
    assert rows == [1, 4, 100, 32], "never twice as many as are asked for"


def test_whole_mutants_leave_room_for_their_results() -> None:
    x = keras.Input((8000, 4))
    model = keras.Model(x, keras.layers.Conv1D(1, 1)(keras.layers.Conv1D(64, 9)(x)))
    program = compiled(model, whole=True, target="gpu", memory_budget="1GB")
    assert program.batch_size >= 1 and program.naive.rows > 1


def test_another_machine_is_not_tuned_here() -> None:
    with pytest.raises(fc.OptionError, match="autotune= times this machine"):
        compiled(model_named("residual_tower"), target="gpu", autotune=True)


def test_the_plan_says_so() -> None:
    model = model_named("residual_tower")
    notes = [any("GPU" in note for note in compiled(model, target=t).plan.notes) for t in ("cpu", "gpu")]
    assert notes == [False, True]
