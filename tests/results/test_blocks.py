"""Results in pieces: `stream` and `sparse` give the numbers of a call."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize

LENGTH = 41
PLAIN: dict[str, Any] = {"jit": False, "verify": False}
"""How results are cut into pieces has nothing to do with XLA."""


@pytest.fixture(scope="module")
def model() -> Any:
    x = keras.Input((LENGTH, 4))
    h = keras.layers.Conv1D(8, 5, padding="same", activation="relu")(x)
    h = keras.layers.Conv1D(6, 3, dilation_rate=2, padding="same", activation="relu")(h)
    profile = keras.layers.Conv1D(2, 3, activation="softplus")(h)
    count = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(h))
    return randomize(keras.Model(x, {"profile": profile, "count": count}))


@pytest.fixture(scope="module")
def x() -> np.ndarray[Any, Any]:
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(0).integers(0, 4, (5, LENGTH))]
    x[1, 7] = 0
    x[2, 9] = [0.5, 0.5, 0, 0]
    return x


RANGES = [None, [(0, 3), (10, 11), (38, 41), (8, 28)]]


@pytest.mark.parametrize("ranges", RANGES, ids=["every position", "unequal widths"])
def test_windows_hold_every_effect(model: Any, x: Any, ranges: Any) -> None:
    program = fc.compile(model, ranges=ranges, batch_size=2)
    pairs = [(program(x, delta=True), program(x, sparse=True))]
    if ranges is None:
        pairs.append((program.saturate(x, delta=True), program.saturate(x, sparse=True)))
    for dense, sparse in pairs:
        for name, effects in dense.items():
            np.testing.assert_allclose(sparse[name].dense(), effects, atol=2e-6)
        windows = sparse["profile"]
        width = windows.deltas.shape[windows.axis]
        assert width == (11 if ranges is None else 20 + 10)  # receptive field 5 + 2*2 + 2
        assert (windows.starts >= 0).all() and (windows.starts + width <= windows.length).all()
        assert sparse["count"].axis is None


def test_windows_of_rows_that_the_model_scores_itself(x: Any) -> None:
    inputs = keras.Input((LENGTH, 4))
    model = keras.Model(inputs, keras.ops.exp(200 * keras.layers.Conv1D(1, 3, padding="same")(inputs)))
    model.layers[1].set_weights([np.ones((3, 4, 1), np.float32), np.zeros(1, np.float32)])
    program = fc.compile(model, verify=False)  # exp(600) is infinite
    dense, sparse = program(x, delta=True), program(x, sparse=True).dense()
    assert program.rescored > 0
    finite = np.isfinite(dense)
    np.testing.assert_array_equal(sparse[finite], dense[finite])


@pytest.mark.parametrize("saturate", [False, True])
@pytest.mark.parametrize("budget", [None, 100_000])
def test_a_stream_covers_every_cell_once(model: Any, x: Any, saturate: bool, budget: int | None) -> None:
    program = fc.compile(model, batch_size=2, memory_budget=budget, **PLAIN)
    whole = program.saturate(x, delta=True) if saturate else program(x, delta=True)
    seen = np.zeros((len(x), LENGTH), int)
    blocks = 0
    for block in program.stream(x, delta=True, saturate=saturate):
        seen[block.sequences, block.ranges] += 1
        for name, scores in block.scores.items():
            np.testing.assert_allclose(scores, whole[name][block.sequences, block.ranges], atol=2e-6)
        blocks += 1
    assert (seen == 1).all()
    assert blocks == 3 if budget is None else blocks > 3


def test_a_stream_of_windows(model: Any, x: Any) -> None:
    program = fc.compile(model, batch_size=2, memory_budget=100_000, **PLAIN)
    whole = program(x, delta=True)["profile"]
    for block in program.stream(x, sparse=True):
        np.testing.assert_allclose(block.scores["profile"].dense(), whole[block.sequences, block.ranges], atol=2e-6)


def test_a_stream_checks_before_the_first_block(model: Any, x: Any) -> None:
    program = fc.compile(model, ranges=[(0, 2)], **PLAIN)
    with pytest.raises(fc.RangeError):
        program.stream(x, saturate=True)
    with pytest.raises(fc.InputError):
        program.stream(x[:, :-1])


def test_results_may_need_several_calls_of_the_program(model: Any, x: Any) -> None:
    roomy, tight = fc.compile(model, **PLAIN), fc.compile(model, memory_budget=100_000, batch_size=1, **PLAIN)
    assert tight.plan.bytes < 100_000 < roomy.plan.bytes
    shape = tight.engines[0].shape_of_scan(1)
    assert shape.tiles * shape.rows < LENGTH
    for name, scores in roomy(x).items():
        np.testing.assert_allclose(tight(x)[name], scores, atol=2e-6)


@pytest.mark.parametrize(
    "options",
    [{"outputs": {"profile": (slice(None), 0)}}, {"reduce": lambda y: tf.reduce_sum(y["profile"], 1)}],
)
def test_sparse_results_are_of_whole_outputs(model: Any, x: Any, options: Any) -> None:
    program = fc.compile(model, **options, **PLAIN)
    with pytest.raises(fc.OptionError, match="sparse"):
        program(x, sparse=True)


def test_a_reduction_of_keras_operations_is_part_of_the_graph(model: Any, x: Any) -> None:
    """Its sum over positions reads the window of the profile that changed, not all of it."""

    def total(outputs: Any) -> Any:
        return {"total": keras.ops.sum(outputs["profile"], axis=1), "both": outputs["count"] * 2.0}

    ours = fc.compile(model, reduce=total)
    theirs = fc.compile(model, reduce=lambda y: {"total": tf.reduce_sum(y["profile"], 1), "both": y["count"] * 2.0})
    rounding = 4 * np.finfo(np.float32).eps * np.abs(theirs(x)["total"]).max()  # they subtract totals
    for delta in (False, True):
        for name, scores in theirs(x, delta=delta).items():
            np.testing.assert_allclose(ours(x, delta=delta)[name], scores, atol=rounding, rtol=1e-5)
    assert "materialise" in theirs.text() and "materialise" not in ours.text()
    assert ours(x, sparse=True)["total"].axis is None


def test_sparse_results_of_a_slice(model: Any, x: Any) -> None:
    program = fc.compile(model, outputs={"profile": slice(10, 30)}, **PLAIN)
    sparse, dense = program(x, sparse=True)["profile"], program(x, delta=True)["profile"]
    assert sparse.length == 20
    np.testing.assert_allclose(sparse.dense(), dense, atol=2e-6)


def test_a_result_that_cannot_exist_is_refused_with_advice(model: Any, x: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    program = fc.compile(model, **PLAIN)
    monkeypatch.setattr("fastism_compiler.planning.memory.free_memory", lambda: 50_000)
    for call in (program, program.saturate):
        with pytest.raises(fc.MemoryBudgetError, match=r"program\.stream"):
            call(x)
    assert len(list(program.stream(x))) > 0
