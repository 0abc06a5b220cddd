"""Outputs: selected by name, number, position and column, reduced, and not computed where nobody asks for them."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.api.models import model64
from tests.oracle import make_inputs
from tests.programs import compile_tiles

L = keras.layers


def _total(selected: dict[str, Any]) -> Any:
    return keras.ops.sum(selected["profile"], axis=-1)


def test_outputs_and_reduce() -> None:
    model = model64("several_outputs")
    x = make_inputs(model, 2, "float64")["seq"]
    everything = fc.compile(model, jit=False, verify=False)(x)
    some = fc.compile(model, outputs={"profile": [3, -1]}, jit=False, verify=False)(x)
    assert list(some) == ["profile"]
    np.testing.assert_allclose(some["profile"], everything["profile"][:, :, [3, -1]], rtol=1e-9)
    program = fc.compile(model, outputs={"profile": (slice(2, 9), 1)}, reduce=_total, jit=False, verify=False)
    one = program(x)
    np.testing.assert_allclose(one, everything["profile"][:, :, 2:9, 1].sum(-1), rtol=1e-9)
    for bad in ({"nothing": None}, {}, {7: None}):
        with pytest.raises(fc.OptionError):
            fc.compile(model, outputs=bad, jit=False, verify=False)
    with pytest.raises(fc.OptionError, match="integers, slices and lists"):
        fc.compile(model, outputs={"profile": "x"}, jit=False, verify=False)


def test_outputs_by_number_and_layer_name() -> None:
    model = model64("residual_tower")
    x = make_inputs(model, 2, "float64")["seq"]
    profile, count = fc.compile(model, jit=False, verify=False)(x)
    name = model.output_names[1]
    np.testing.assert_allclose(fc.compile(model, outputs={name: None}, jit=False, verify=False)(x), count, rtol=1e-9)
    both = fc.compile(model, outputs={1: None, 0: 4}, jit=False, verify=False)(x)
    np.testing.assert_allclose(both[0], count, rtol=1e-9)
    np.testing.assert_allclose(both[1], profile[:, :, 4], rtol=1e-9)


def test_selected_positions_cut_the_work() -> None:
    x = inputs = L.Input((60, 4))
    for dilation in (1, 2, 4, 8):
        x = L.Conv1D(4, 3, padding="same", dilation_rate=dilation, activation="relu")(x)
    model = float64_clone(randomize(keras.Model(inputs, [x, L.Dense(2)(L.GlobalAveragePooling1D()(x))])))
    sequences = make_inputs(model, 2, "float64")["seq"]
    everything = fc.compile(model, jit=False, verify=False)
    central = fc.compile(model, outputs={0: (slice(28, 32), [1, 3])}, jit=False, verify=False)
    np.testing.assert_allclose(central(sequences), everything(sequences)[0][:, :, 28:32][..., [1, 3]], atol=1e-12)
    assert central.plan.multiply_adds < 0.4 * everything.plan.multiply_adds
    assert all(n.op not in ("dense", "reduce_mean") for n in central.graph)
    one = fc.compile(model, outputs={0: (-30, 2)}, jit=False, verify=False)
    np.testing.assert_allclose(one(sequences), everything(sequences)[0][:, :, -30, 2], atol=1e-12)


@pytest.mark.parametrize("index", [60, (0, 4), -61, [0, 70], slice(5, 5)])
def test_an_output_index_out_of_range(index: Any) -> None:
    inputs = L.Input((60, 4))
    with pytest.raises(fc.OptionError, match="an output index must"):
        fc.compile(keras.Model(inputs, L.Conv1D(4, 1)(inputs)), outputs={0: index})


def test_an_output_without_the_sequence_is_the_reference() -> None:
    x, other = L.Input((9, 4), name="seq"), L.Input((3,), name="other")
    model = randomize(keras.Model([x, other], [L.Dense(2)(other), L.GlobalMaxPooling1D()(L.Conv1D(2, 3)(x))]))
    with pytest.warns(UserWarning, match="does not depend on the sequence"):
        program = fc.compile(model, jit=False)
    inputs = [np.ones((2, 9, 4)), np.arange(6.0).reshape(2, 3)]
    scores = program(inputs)
    np.testing.assert_allclose(scores[0], np.repeat(program.reference(inputs)[0][:, None], 9, axis=1), rtol=1e-6)


def test_a_program_of_constant_outputs_only_has_a_plan() -> None:
    sequence, other = L.Input((9, 4), name="seq"), L.Input((3,), name="other")
    model = randomize(keras.Model([sequence, other], [L.Conv1D(2, 3)(sequence), L.Dense(2, name="aside")(other)]))
    with pytest.warns(UserWarning, match="aside") as caught:
        program = fc.compile(model, "seq", outputs={"aside": None}, jit=False, verify=False)
    assert caught[0].filename == __file__, "where the user called"
    assert "inf" in str(program.plan)
    assert program.plan.speed_up == float("inf")


@pytest.mark.parametrize("outputs", [{"b": None, "a": None}, {"c": None, "a": [1, 0]}, {"c": None, "a": 0, "b": None}])
@pytest.mark.parametrize("reduced", [False, True])
def test_outputs_of_a_dict_in_any_order(outputs: dict[str, Any], reduced: bool) -> None:
    """Keras packs dicts by their sorted keys."""
    x = L.Input((9, 4), name="seq")
    y = L.Flatten()(L.Conv1D(2, 3)(x))
    model = randomize(keras.Model(x, {name: L.Dense(n)(y) for name, n in (("c", 2), ("b", 2), ("a", 3))}))
    inputs = make_inputs(model, batch=2)

    def reduce(y: dict[str, Any]) -> dict[str, Any]:
        return {"z": -next(iter(y.values())), **{name: 2 * value for name, value in y.items()}}

    program = fc.compile(model, outputs=outputs, reduce=reduce if reduced else None, jit=False)
    scores = program(inputs["seq"])
    mutant = inputs["seq"].copy()
    mutant[:, 4] = 0
    picked = {name: np.asarray(model(mutant)[name]) for name in outputs}
    expected = {name: y if outputs[name] is None else y[:, outputs[name]] for name, y in picked.items()}
    expected = reduce(dict(sorted(expected.items()))) if reduced else expected
    assert set(scores) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(scores[name][:, 4], value, rtol=1e-4, atol=1e-5)


def ordered_model() -> Any:
    """Outputs in an OrderedDict that is not sorted: Keras keeps its order, TensorFlow would sort it."""
    inputs = L.Input((9, 4), name="seq")
    x = L.Conv1D(2, 3)(inputs)
    head = L.Dense(3)(L.GlobalAveragePooling1D()(x))
    return randomize(keras.Model(inputs, OrderedDict([("second", x), ("first", head)])))


@pytest.mark.parametrize("reduced", [False, True])
def test_outputs_in_an_ordered_dict_keep_their_names(reduced: bool, tmp_path: Path) -> None:
    model = ordered_model()
    x = make_inputs(model, 2)["seq"]
    naive = {name: np.asarray(y) for name, y in model(x, training=False).items()}
    options = {"jit": False, "verify": False, "reduce": (lambda y: y) if reduced else None}
    program = fc.compile(model, **options)
    same_by_name(program.reference(x), naive)
    some = fc.compile(model, outputs={"first": [1]}, **options)
    same_by_name(some.reference(x), {"first": naive["first"][:, 1:2]})
    if not reduced:
        program.export(tmp_path / "program")
        same_by_name(fc.load(tmp_path / "program").reference(x), naive)


def same_by_name(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert set(ours) == set(theirs)
    for name, y in theirs.items():
        np.testing.assert_allclose(ours[name], y, rtol=1e-5, atol=1e-6)


def test_inputs_in_an_ordered_dict_keep_their_names() -> None:
    sequence, other = L.Input((9, 4), name="z"), L.Input((9, 4), name="a")
    y = L.Conv1D(2, 3)(L.Concatenate()([sequence, 2 * other]))
    model = randomize(keras.Model(OrderedDict([("z", sequence), ("a", other)]), L.GlobalAveragePooling1D()(y)))
    program = fc.compile(model, seq_input="z", jit=False, verify=False)
    z, a = np.random.default_rng(0).random((2, 3, 9, 4), "float32")
    changed = z.copy()
    changed[:, 4] = 0
    # Keras itself takes inputs in the order of the dict it is given, whatever their names
    expected = model(OrderedDict([("z", changed), ("a", a)]), training=False)
    np.testing.assert_allclose(program({"a": a, "z": z})[:, 4], expected, rtol=1e-5, atol=1e-6)


def heads_of(kind: str) -> Any:
    x = keras.Input((8, 4))
    h = keras.layers.Conv1D(3, 3)(x)
    profile = keras.layers.Conv1D(2, 1, name="profile")(h)
    counts = keras.layers.Dense(1, name="counts")(keras.layers.Flatten()(h))
    return keras.Model(x, {"profile": profile, "counts": counts} if kind == "dict" else [profile, counts])


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_outputs_by_name_alone(kind: str) -> None:
    model, x = heads_of(kind), np.eye(4, dtype="float32")[[[0, 1, 2, 3] * 2]]
    whole = fc.compile(model, jit=False, verify=False)(x)
    profile = whole["profile"] if kind == "dict" else whole[0]
    for outputs in ("profile", ["profile"], {"profile": None}):
        chosen = fc.compile(model, outputs=outputs, jit=False, verify=False)(x)
        np.testing.assert_array_equal(chosen["profile"] if kind == "dict" else chosen, profile)
    with pytest.raises(fc.OptionError, match=r"one of \['?(counts|0)") as error:
        fc.compile(model, outputs="profil")
    assert str(error.value).count("counts") == 1
    with pytest.raises(fc.OptionError, match="outputs= has a wrong value"):
        fc.compile(model, outputs=3.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "reduce", "cause"),
    [
        ("dict", lambda y: y["profil"], "KeyError: 'profil'"),
        ("list", lambda y: y["profile"], "TypeError"),
        ("dict", lambda y: np.sum(y["profile"]), "NotImplementedError"),
    ],
)
def test_a_reduction_that_fails_is_refused_at_once(kind: str, reduce: Any, cause: str) -> None:
    expected = "keys" if kind == "dict" else "a function of list"
    with pytest.raises(fc.OptionError, match=f"reduce= failed[^$]*{expected}[^$]*{cause}"):
        fc.compile(heads_of(kind), reduce=reduce)


def test_a_report_names_the_outputs() -> None:
    report = fc.compile(heads_of("dict"), jit=False, verify=False).verify()
    assert [output.name for output in report.outputs] == ["counts", "profile"]


@pytest.mark.parametrize("absorbed", [True, False])
def test_a_reduction_makes_as_many_results_as_it_likes(absorbed: bool) -> None:
    """Of two outputs three, or one; whether it becomes part of the graph or not."""
    ops = keras.ops if absorbed else tf
    reducers = {
        3: lambda y: [y["profile"], y["counts"], ops.abs(y["counts"])],
        1: lambda y: ops.abs(y["counts"]),
    }
    model, x = heads_of("dict"), np.eye(4, dtype="float32")[[[0, 1, 2, 3] * 2]]
    for count, reduce in reducers.items():
        program = compile_tiles(model, reduce=reduce, jit=False, verify=False)
        results = program(x)
        assert len(results if isinstance(results, list) else [results]) == count
        program.saturate(x, delta=True)
        assert program.verify(x)


def test_an_output_is_selected_once() -> None:
    with pytest.raises(fc.OptionError, match="selected once"):
        fc.compile(heads_of("dict"), outputs=["counts", "counts"])
    with pytest.raises(fc.OptionError, match="wrong value"):
        fc.compile(heads_of("dict"), outputs=True)
