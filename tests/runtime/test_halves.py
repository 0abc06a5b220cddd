"""Pairs of substitutions that run apart until their windows meet, against one window for both and the model itself."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from benchmarks.fuzz_pairs import naive_pair_effects
from fastism_compiler import halving
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from fastism_compiler.planning.necks import are_apart
from fastism_compiler.runtime.halves import Halves
from fastism_compiler.runtime.traced import op_by_op
from tests.graphs import GRAPHS
from tests.oracle import as_model_takes, make_inputs

L = keras.layers
FOUR = np.eye(4)
ALWAYS_WINDOWS = fc.default_pipeline().remove("choose-program")


MEET_AT_ONCE = {
    "arithmetic_joins",
    "causal_and_cross_attention",
    "channels_first",
    "concatenated_positions",
    "conv_stride_over_kernel",
    "conv_valid_strided",
    "conv_wider_than_sequence",
    "identity_output",
    "integer_one_hot",
    "masking_layer",
    "recurrent",
    "recurrent_on_the_sequence_itself",
    "reverse_complement",
    "tokens_as_floats",
    "tokens_embedded",
    "tokens_masked",
    "tokens_one_hot_transformer",
    "two_dimensional",
}
"""Graphs with no node that everything passes through before the windows meet, or none that may be one."""


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> list[Halves]:
    """Programs in two parts wherever there are any, however slow; those that ran."""
    ran: list[Halves] = []
    alone = Halves.alone

    def watched(self: Halves, *arguments: Any) -> Any:
        ran.append(self)
        return alone(self, *arguments)

    monkeypatch.setattr(halving, "_COMPILE_SECONDS", 0.0)
    monkeypatch.setattr(halving, "_cost", lambda halves: -1.0)
    monkeypatch.setattr(Halves, "alone", watched)
    return ran


def tower(length: int = 60) -> Any:
    x = L.Input((length, 4), name="seq")
    y = L.Conv1D(6, 5, activation="relu", padding="same")(x)
    for dilation in (2, 4, 8):
        y = L.Add()([y, L.Conv1D(6, 3, dilation_rate=dilation, activation="relu", padding="same")(y)])
    return randomize(keras.Model(x, {"profile": L.Conv1D(2, 5)(y), "count": L.Dense(1)(L.GlobalAveragePooling1D()(y))}))


def naive(model: Any, inputs: dict[str, Any], pairs: Any, letters: Any = FOUR) -> list[Any]:
    """Mutant - reference for every pair of letters, `[B, N, C, C, *out]`: a plain loop."""

    def run(x: dict[str, Any]) -> list[Any]:
        return [np.asarray(y) for y in keras.tree.flatten(model(as_model_takes(model, x)))]

    return naive_pair_effects(run, inputs, pairs, letters)


def test_far_pairs_are_those_of_the_model(always: list[Halves]) -> None:
    model = float64_clone(tower())
    program = fc.compile(model, ranges=[(0, 1)], jit=False, verify=False, pipeline=ALWAYS_WINDOWS)
    inputs = make_inputs(model, 2, "float64")
    found = program.pairs(inputs["seq"], [0, 1, 22, 30, 31, 59])
    widths = {(h.window.width, h.width) for h in always}
    assert widths >= {(5, 16), (9, 32), (17, 48), (33, 60)}, "the farther apart, the later they meet"
    for y, exact in zip(keras.tree.flatten(found.joint), naive(model, inputs, found.positions), strict=True):
        np.testing.assert_allclose(y, exact, atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("name", sorted(GRAPHS.keys() - {"one_position_left"}))
def test_every_small_graph(name: str, always: list[Halves]) -> None:
    model = float64_clone(randomize(GRAPHS[name]()))
    with op_by_op():
        seq_input = "seq" if len(model.inputs) > 1 else 0
        program = fc.compile(model, seq_input, ranges=[(0, 1)], jit=False, verify=False, pipeline=ALWAYS_WINDOWS)
        inputs = make_inputs(model, 2, "float64")
        length = inputs["seq"].shape[1]
        found = program.pairs(as_model_takes(model, inputs), [1, length - 2])
    assert bool(always) == (name not in MEET_AT_ONCE)
    tokens = inputs["seq"].ndim == 2
    letters = range(program.letters.count) if tokens else np.eye(program.letters.count)
    for y, exact in zip(keras.tree.flatten(found.joint), naive(model, inputs, found.positions, letters), strict=True):
        np.testing.assert_allclose(y, exact, atol=1e-11, rtol=1e-8)


def test_letters_that_are_all_there_already(always: list[Halves]) -> None:
    model = float64_clone(tower())
    options: Any = {"jit": False, "verify": False, "pipeline": ALWAYS_WINDOWS}
    program = fc.compile(model, ranges=[(0, 1)], channels=[2], alphabet="G", **options)
    with op_by_op():
        found = program.pairs(np.eye(4)[np.full((1, 60), 2)], [0, 59])
    assert not always
    assert not any(np.any(y) for y in keras.tree.flatten(found.joint))


def test_few_pairs_are_not_worth_two_more_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    program = fc.compile(tower(), ranges=[(0, 1)], jit=False, verify=False, pipeline=ALWAYS_WINDOWS)
    monkeypatch.setattr(halving, "_cost", lambda halves: 0.0)
    assert program.scorer.halves(48, mutants=9) is None
    many = program.scorer.halves(48, mutants=10**12)
    assert many is not None
    assert program.scorer.halves(48, mutants=10**12) is many, "made once"
    monkeypatch.setattr(halving, "_cost", lambda halves: np.inf)
    assert program.scorer.halves(48, mutants=10**12) is None


def test_what_cannot_be_trusted_is_scored_in_one_window(always: list[Halves], monkeypatch: pytest.MonkeyPatch) -> None:
    together = Halves.together

    def doubtful(self: Halves, *arguments: Any) -> Any:
        outputs, trusted = together(self, *arguments)
        trusted[::2], outputs[0][::2] = False, np.nan
        return outputs, trusted

    monkeypatch.setattr(Halves, "together", doubtful)
    model = float64_clone(tower())
    program = fc.compile(model, ranges=[(0, 1)], jit=False, verify=False, pipeline=ALWAYS_WINDOWS)
    inputs = make_inputs(model, 1, "float64")
    found = program.pairs(inputs["seq"], [3, 30, 59])
    assert always
    for y, exact in zip(keras.tree.flatten(found.joint), naive(model, inputs, found.positions), strict=True):
        np.testing.assert_allclose(y, exact, atol=1e-12, rtol=1e-9)


def test_mutants_that_overflow_in_front(always: list[Halves]) -> None:
    """A letter that is infinite at the neck: alone it is not trusted, and neither are its pairs."""
    model = tower()
    kernel, bias = model.layers[1].get_weights()
    kernel[:, 2] = 3e38
    model.layers[1].set_weights([kernel, bias])
    program = fc.compile(model, ranges=[(0, 1)], jit=False, verify=False, pipeline=ALWAYS_WINDOWS)
    x = fc.one_hot(["ACTTCA" * 10])
    found = program.pairs(x, [3, 30, 59])
    assert always
    with np.errstate(all="ignore"):
        wanted = naive(model, {"seq": x}, found.positions)
    for y, exact in zip(keras.tree.flatten(found.joint), wanted, strict=True):
        np.testing.assert_array_equal(np.isfinite(y), np.isfinite(exact))


def test_windows_of_many_positions_are_kept_in_pieces(always: list[Halves], monkeypatch: pytest.MonkeyPatch) -> None:
    model = float64_clone(tower())
    program = fc.compile(model, ranges=[(0, 1)], jit=False, verify=False, pipeline=ALWAYS_WINDOWS)
    x = make_inputs(model, 1, "float64")["seq"]
    whole = program.pairs(x, [1, 2, 40, 41])
    (halves,) = always
    monkeypatch.setattr(Halves, "most_bytes", halves.bytes_of(3))
    again = program.pairs(x, [1, 2, 40, 41])
    assert len(always) == 3, "one for all positions, then two"
    for y, z in zip(keras.tree.flatten(whole.joint), keras.tree.flatten(again.joint), strict=True):
        np.testing.assert_allclose(y, z, atol=1e-12)


@pytest.mark.parametrize(("name", "of_a", "of_others"), [("tanh", 1e8, None), ("log", 100, 1e-5)])
def test_digits_are_not_lost_at_the_neck(name: str, of_a: float, of_others: float | None, always: list[Halves]) -> None:
    """An A makes the first channel large; without it, the other letters count again behind a function."""
    functions = {"tanh": keras.ops.tanh, "log": lambda v: keras.ops.log(keras.ops.square(v) + 1e-12)}
    x = L.Input((64, 4), name="seq")
    y = L.Conv1D(2, 3)(L.Activation(functions[name])(L.Conv1D(3, 3, use_bias=False, name="large")(x)))
    model = randomize(keras.Model(x, L.Dense(2)(L.Flatten()(y))))
    (kernel,) = model.get_layer("large").get_weights()
    kernel[:, :, 0] = kernel[:, :, 0] if of_others is None else of_others
    kernel[:, 0, 0] = of_a
    model.get_layer("large").set_weights([kernel])
    program = fc.compile(model, ranges=[(0, 1)], jit=False, verify=False, pipeline=ALWAYS_WINDOWS)
    inputs = {"seq": fc.one_hot(["C" * 20 + "A" + "CGT" * 14 + "C"])}
    found = program.pairs(inputs["seq"], [20, 40])
    (exact,) = naive(float64_clone(model), inputs, found.positions)
    assert always
    np.testing.assert_allclose(found.joint, exact, atol=1e-5 * np.abs(exact).max())


@pytest.mark.parametrize(
    ("activation", "high", "low"), [("softplus", 15, -13), ("sigmoid", 15, -13), ("softmax", 6, -6)]
)
def test_digits_are_not_lost_in_front(activation: str, high: float, low: float, always: list[Halves]) -> None:
    """Only two letters are high: without both, the activation is far below its reference, and a logarithm shows it."""
    x = L.Input((64, 4), name="seq")
    y = L.Activation(activation)(L.Conv1D(2, 1, name="logits")(x))
    y = L.Conv1D(1, 3)(keras.ops.log(L.MaxPooling1D(3, strides=1, padding="same")(y)))
    model = randomize(keras.Model(x, y))
    logits = np.array([high, 1.01 * low, 0.97 * low, 1.03 * low])
    kernel = np.stack([logits, -logits if activation == "softmax" else 0.95 * logits], axis=1)
    model.get_layer("logits").set_weights([kernel[None], np.zeros(2)])
    program = fc.compile(model, ranges=[(0, 1)], jit=False, verify=False, pipeline=ALWAYS_WINDOWS)
    inputs = {"seq": fc.one_hot(["C" * 20 + "ACA" + "C" * 41])}
    found = program.pairs(inputs["seq"], [20, 22])
    (exact,) = naive(float64_clone(model), inputs, found.positions)
    assert np.abs(exact).max() > 5
    np.testing.assert_allclose(found.joint, exact, atol=2e-5)


@pytest.mark.parametrize(
    ("lo", "hi", "distance", "apart"),
    [
        ([0, 1, 2, 3], [2, 3, 4, 5], 2, True),
        ([0, 1, 2, 3], [2, 3, 4, 5], 1, False),
        ([3, 2, 1, 0], [5, 4, 3, 2], 2, True),  # mirrored
        ([0, 1, 1, 0], [2, 3, 3, 2], 3, False),  # they come back
        ([0, 5, 0, 3], [2, 5, 0, 5], 1, True),  # two of them are empty
        ([0, 1], [9, 9], 2, True),  # no two are so far apart
    ],
)
def test_windows_that_share_no_position(lo: list[int], hi: list[int], distance: int, apart: bool) -> None:
    assert are_apart(np.array(lo), np.array(hi), distance) == apart
