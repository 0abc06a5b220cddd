"""Several models as one program: folds and ensembles, against the models one by one."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
import tf2onnx
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.frontend.keras.float64 import float64_clone
from tests.oracle import assert_close, make_inputs, naive_scan
from tests.runs.models import LENGTH, genome, small_model, write_fasta

RANGES = [(0, 1), (7, 8), (28, 31), (LENGTH - 1, LENGTH)]


def folds(count: int = 3) -> list[Any]:
    models = [small_model() for _ in range(count)]
    for number, model in enumerate(models):
        rng = np.random.default_rng(number)
        model.set_weights([w + 0.1 * rng.standard_normal(w.shape).astype(w.dtype) for w in model.get_weights()])
    return models


@pytest.fixture(scope="module")
def models() -> list[Any]:
    return [float64_clone(model) for model in folds()]


@pytest.fixture(scope="module")
def x(models: list[Any]) -> Any:
    return make_inputs(models[0], 2, "float64")["seq"]


def naive(models: Sequence[Any], x: Any) -> list[list[Any]]:
    return [naive_scan(model, {"seq": x}, RANGES, lambda r: 0) for model in models]


def logit_mean(ys: Any) -> Any:
    mean = np.mean([np.log(y) - np.log1p(-y) for y in ys], axis=0)
    return 1 / (1 + np.exp(-mean))


def furthest(ys: list[Any]) -> Any:
    return keras.ops.maximum(ys[0], keras.ops.maximum(ys[1], ys[2]))


@pytest.mark.parametrize(
    ("combine", "plain"),
    [("mean", lambda ys: np.mean(ys, axis=0)), ("logits", logit_mean), (furthest, lambda ys: np.max(ys, axis=0))],
)
def test_combined_outputs_are_those_of_the_models_combined(models: list[Any], x: Any, combine: Any, plain: Any) -> None:
    program = fc.compile(models, ranges=RANGES, combine=combine, outputs="chance", jit=False, verify=False)
    expected = [plain([outputs[1] for outputs in naive(models, x)])]
    assert_close(program(x), expected, atol=1e-12, rtol=1e-9)
    assert not program.plan.stops
    assert program.verify(x)


def test_all_outputs_of_all_models(models: list[Any], x: Any) -> None:
    program = fc.compile(models, ranges=RANGES, combine=None, jit=False, verify=False)
    results = program(x)
    assert [len(outputs) for outputs in results] == [2, 2, 2]
    assert_close(results, [y for outputs in naive(models, x) for y in outputs], atol=1e-12, rtol=1e-9)
    one = fc.compile(models, ranges=RANGES, combine=None, outputs=["chance_2"], jit=False, verify=False)
    assert_close(one(x), [naive(models, x)[2][1]], atol=1e-12, rtol=1e-9)


def test_weights_stay_live_and_programs_travel(tmp_path: Path) -> None:
    models = folds()
    program = fc.compile(models, ranges=RANGES, jit=False)
    x = make_inputs(models[0], 2)["seq"]
    models[1].set_weights([2 * w for w in models[1].get_weights()])
    expected = [np.mean([o[k] for o in naive(models, x)], axis=0) for k in range(2)]
    assert_close(program(x), expected)
    assert_close(pickle.loads(pickle.dumps(program))(x), expected)
    program.export(tmp_path / "folds.ism", "ism")
    assert_close(fc.load(tmp_path / "folds.ism")(x), expected)


def test_a_changed_layer_of_one_model_is_followed() -> None:
    models = folds(2)
    program = fc.compile(models, ranges=RANGES, jit=False, verify=False)
    x = make_inputs(models[0], 1)["seq"]
    models[1].get_layer("chance").activation = keras.activations.tanh
    with pytest.warns(UserWarning, match="1/chance"):
        results = program(x)
    assert_close(results, [np.mean([o[k] for o in naive(models, x)], axis=0) for k in range(2)])


def test_frameworks_may_differ(tmp_path: Path) -> None:
    models = folds(2)
    spec = [tf.TensorSpec((None, LENGTH, 4), tf.float32, name="sequence")]
    proto, _ = tf2onnx.convert.from_function(tf.function(models[1].__call__), spec)
    onnx.save(proto, tmp_path / "fold.onnx")
    program = fc.compile([models[0], tmp_path / "fold.onnx"], ranges=RANGES, jit=False)
    x = make_inputs(models[0], 2)["seq"]
    assert_close(program(x), [np.mean([o[k] for o in naive(models, x)], axis=0) for k in range(2)])


def test_models_that_differ_are_refused_by_what_differs() -> None:
    models = folds(1)
    longer, single = small_model(length=LENGTH + 1), keras.Model(models[0].inputs, models[0].outputs[0])
    for other, rule in (
        (longer, "inputs of model 1 differ"),
        (single, "outputs of model 1 differ"),
        (3, "a model is needed"),
    ):
        with pytest.raises(fc.ModelError, match=rule):
            fc.compile([models[0], other])
    with pytest.raises(fc.OptionError, match="at least one model"):
        fc.compile([])
    with pytest.raises(fc.OptionError, match="no such way to combine"):
        fc.compile(models, combine="median")
    with pytest.raises(fc.OptionError, match="cannot become part of the program"):
        fc.compile(models, combine=lambda ys: np.mean(ys, axis=0))


def test_rounded_probabilities_have_log_odds_and_others_none() -> None:
    x = keras.Input((8, 4), name="seq")
    high = keras.Model(x, keras.ops.sigmoid(100 * keras.ops.sum(x, axis=(1, 2))[:, None]))
    low = keras.Model(x, keras.ops.sigmoid(-4.0 + 0 * keras.ops.sum(x, axis=(1, 2))[:, None]))
    letters = fc.one_hot("ACGTACGT")
    both = fc.compile([high, low], combine="logits", ranges=[(0, 1)])
    odds = -np.log(2.0**-24)
    assert both.reference(letters)[0, 0] == pytest.approx(1 / (1 + np.exp(-(odds - 4) / 2)), abs=1e-4)
    beyond = keras.Model(x, 3.0 + keras.ops.sum(x, axis=(1, 2))[:, None])
    assert np.isnan(fc.compile([low, beyond], combine="logits", ranges=[(0, 1)])(letters)).all()


def test_inputs_in_another_order_are_refused() -> None:
    one, other = (keras.Input((8, 4), name=name) for name in ("seq", "control"))
    y = keras.layers.Dense(1)(keras.layers.Flatten()(one + 2 * other))
    third = keras.Input((8, 4), name="dnase")
    shifted = keras.Model([other, third], keras.layers.Dense(1)(keras.layers.Flatten()(other + third)))
    for second in (keras.Model([other, one], y), shifted):
        with pytest.raises(fc.ModelError, match="order of inputs of model 1"):
            fc.compile([keras.Model([one, other], y), second])


def test_whole_numbers_stay_whole_numbers() -> None:
    x = keras.Input((8, 4), name="seq")
    model = keras.Model(x, keras.ops.cast(1000 * keras.ops.sum(x, axis=(1, 2))[:, None], "int32"))
    letters = fc.one_hot("ACGTACGT")
    program = fc.compile([model, model], combine=None, ranges=[(0, 1)], jit=False)
    assert [y.dtype for y in program.reference(letters)] == [np.int32, np.int32]
    mean = fc.compile([model, model], ranges=[(0, 1)], jit=False)
    assert mean(letters)[0, 0] == 7000


def test_tokens_that_one_model_lacks_are_refused() -> None:
    def reader(rows: int) -> Any:
        tokens = keras.Input((8,), dtype="int32", name="seq")
        return keras.Model(tokens, keras.layers.Conv1D(2, 3)(keras.layers.Embedding(rows, 3)(tokens)))

    program = fc.compile([reader(6), reader(5)], jit=False)
    assert program.letters.count == 5
    with pytest.raises(fc.InputError):
        program(np.full((1, 8), 5))


def test_what_combine_raises_is_told() -> None:
    models = folds(2)
    with pytest.raises(fc.OptionError, match=r"combine= failed(.|\n)*AttributeError"):
        fc.compile(models, combine=lambda ys: ys.mean())
    with pytest.raises(fc.OptionError, match="makes one tensor"):
        fc.compile(models, combine=lambda ys: (ys[0], ys[1]))


def test_folds_on_the_command_line(tmp_path: Path) -> None:
    models = folds()
    paths = [str(tmp_path / f"fold{i}.keras") for i in range(3)]
    for model, path in zip(models, paths, strict=True):
        model.save(path)
    text = genome(np.random.default_rng(0), {"s": LENGTH})
    write_fasta(tmp_path / "in.fa", text)
    also = [part for path in paths[1:] for part in ("--also", path)]
    arguments = ["scan", paths[0], str(tmp_path / "in.fa"), str(tmp_path / "out.zarr"), *also, "--outputs", "chance"]
    run = CliRunner().invoke(main, [*arguments, "--workers", "2"])
    assert run.exit_code == 0, run.output
    expected = fc.compile(models, outputs="chance", jit=False).saturate(fc.one_hot(list(text.values())), delta=True)
    found = fc.open_scan(tmp_path / "out.zarr")["scores_chance"].values
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert fc.open_scan(tmp_path / "out.zarr").attrs["model"]["name"] == "fold0.keras + fold1.keras + fold2.keras"
    (tmp_path / "elsewhere").mkdir()
    for path in paths[1:]:
        Path(path).rename(tmp_path / "elsewhere" / Path(path).name)
    moved = [part.replace(str(tmp_path) + "/fold", str(tmp_path) + "/elsewhere/fold") for part in arguments[4:]]
    same = CliRunner().invoke(main, [*arguments[:4], *moved])
    assert same.exit_code == 0, same.output
    for path in paths[1:]:
        (tmp_path / "elsewhere" / Path(path).name).rename(path)
    models[2].set_weights([2 * w for w in models[2].get_weights()])
    models[2].save(paths[2])
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 2
    alone = CliRunner().invoke(main, [*arguments[:4], "--combine", "logits"])
    assert alone.exit_code == 2
    assert "for several models" in alone.output
    assert "another" in again.output
    run = CliRunner().invoke(main, ["explain", paths[0], *also])
    assert run.exit_code == 0, run.output
    assert "3 models in one program" in run.output
