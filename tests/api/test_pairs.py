"""`program.pairs`: two substitutions at once, against the model itself."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from benchmarks.fuzz_pairs import naive_pair_effects
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from fastism_compiler.mutations.pairs import read_positions
from tests.graphs import GRAPHS
from tests.oracle import make_inputs

L = keras.layers


def two_heads(length: int = 23) -> Any:
    x = L.Input((length, 4), name="seq")
    y = L.Conv1D(5, 3, activation="relu", padding="same")(x)
    y = L.MaxPooling1D(2)(L.Conv1D(4, 4, activation="tanh")(y))
    return randomize(keras.Model(x, {"profile": L.Conv1D(2, 1)(y), "count": L.Dense(1)(L.Flatten()(y))}))


def naive(model: Any, x: Any, pairs: Any) -> dict[str, Any]:
    """Mutant - reference for every pair of letters: a plain loop."""
    names = sorted(model(x))

    def run(inputs: dict[str, Any]) -> list[Any]:
        outputs = model(inputs["seq"])
        return [np.asarray(outputs[name]) for name in names]

    return dict(zip(names, naive_pair_effects(run, {"seq": x}, pairs, np.eye(4)), strict=True))


@pytest.mark.parametrize(
    ("positions", "within"), [([0, 1, 2, 11, 22], None), (None, 2), ([22, 0], None), ([3, 9, 4, 20], 6)]
)
def test_joint_effects_are_those_of_the_model(positions: Any, within: int | None) -> None:
    model = float64_clone(two_heads())
    program = fc.compile(model, ranges=[(0, 1)], jit=False, verify=False)
    x = make_inputs(model, 2, "float64")["seq"]
    found = program.pairs(x, positions, within)
    listed = range(23) if positions is None else sorted(positions)
    expected = [(i, j) for i, j in combinations(listed, 2) if within is None or j - i <= within]
    assert sorted(map(tuple, found.positions.tolist())) == expected
    exact = naive(model, x, found.positions)
    for key, wanted in exact.items():
        np.testing.assert_allclose(found.joint[key], wanted, atol=1e-12, rtol=1e-9)


def test_interaction_is_what_the_single_effects_leave() -> None:
    model = float64_clone(two_heads())
    program = fc.compile(model, jit=False, verify=False)
    x = make_inputs(model, 2, "float64")["seq"][:1]  # one-hot everywhere but for an N
    found = program.pairs(x, [4, 6, 19])
    single = program.saturate(x, delta=True)
    np.testing.assert_array_equal(found.singly, [4, 6, 19])
    for key in ("profile", "count"):
        np.testing.assert_allclose(found.single[key], single[key][:, [4, 6, 19]], atol=1e-12)
        for n, (i, j) in enumerate(found.positions):
            alone = single[key][:, i][:, :, None] + single[key][:, j][:, None]
            np.testing.assert_allclose(found.interaction[key][:, n], found.joint[key][:, n] - alone, atol=1e-12)
        far = np.flatnonzero(found.positions[:, 1] - found.positions[:, 0] > 12)
        assert np.abs(found.interaction["profile"][:, far]).max() < 1e-12, "their windows do not meet"
        own = x[0].argmax(-1)
        for n, (i, j) in enumerate(found.positions):
            assert not found.interaction[key][0, n, own[i]].any()
            assert not found.interaction[key][0, n, :, own[j]].any()


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_in_xla_and_narrow_layers(policy: str) -> None:
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        model = two_heads()
    finally:
        keras.mixed_precision.set_dtype_policy(before)
    program = fc.compile(model, outputs={"count": None}, verify=False)
    x = make_inputs(model, 1)["seq"]
    found = program.pairs(x, [3, 5, 20])
    single = program.saturate(x, delta=True)["count"]
    assert found.joint["count"].dtype == single.dtype
    np.testing.assert_allclose(found.single["count"], single[:, [3, 5, 20]], atol=1e-5)
    if policy == "float32":
        np.testing.assert_allclose(found.joint["count"], naive(model, x, found.positions)["count"], atol=1e-5)


def test_other_layouts_and_channels() -> None:
    inner = two_heads()
    x = make_inputs(inner, 1)["seq"]
    first = L.Input((4, 23), name="seq")
    turned = keras.Model(first, inner(keras.ops.transpose(first, (0, 2, 1)))["count"])
    program = fc.compile(turned, jit=False, verify=False)
    found = program.pairs(x.transpose(0, 2, 1), [2, 9])
    np.testing.assert_allclose(found.joint, naive(inner, x, found.positions)["count"], atol=1e-5)
    two = fc.compile(inner, channels=[1, 3], alphabet="CT", outputs={"count": None}, jit=False, verify=False)
    few = two.pairs(x, [2, 9]).joint["count"][0, 0]
    for a in range(2):
        mutant = x.copy()
        mutant[0, 2, [1, 3]], mutant[0, 9, [1, 3]] = np.eye(2)[a], np.eye(2)[a]
        wanted = np.asarray(inner(mutant)["count"]) - np.asarray(inner(x)["count"])
        np.testing.assert_allclose(few[a, a], wanted[0], atol=1e-5)


def test_near_pairs_of_a_long_sequence_are_listed_one_by_one() -> None:
    pairs = read_positions(None, 4, 200_000)
    assert len(pairs) == 4 * 200_000 - 10
    assert (pairs[:, 1] - pairs[:, 0]).max() == 4
    with pytest.raises(fc.OptionError, match="too many pairs"):
        read_positions(None, None, 200_000)


def test_tokens_and_several_blocks() -> None:
    model = randomize(GRAPHS["tokens_embedded"]())
    program = fc.compile(model, batch_size=2, jit=False, verify=False)
    tokens = make_inputs(model, 3)["seq"]
    found = program.pairs(tokens, [1, 3])
    letters = program.letters.alone(tokens.dtype)[:, 0]
    for b in range(3):
        mutant = np.repeat(tokens[b : b + 1], 2, axis=0)
        mutant[0, 1], mutant[0, 3] = letters[0], letters[2]
        one, reference = (np.asarray(y) for y in model(mutant))
        np.testing.assert_allclose(found.joint[b, 0, 0, 2], one - reference, atol=1e-5)


def test_refusals() -> None:
    model = two_heads()
    program = fc.compile(model, jit=False, verify=False)
    x = make_inputs(model, 1)["seq"]
    for arguments, rule in (
        (([1],), "no two positions make a pair"),
        (([1, 1, 2],), "names each position once"),
        (([1, 23],), "inside the sequence"),
        (([1, 2.5],), "positions= has a wrong value"),
        (([1, 9], 3), "no two positions make a pair"),
        (([1, 9], 0), "within= is too small"),
    ):
        with pytest.raises(fc.FastISMError, match=rule):
            program.pairs(x, *arguments)
    framed = fc.compile(model, outputs={"profile": fc.around(2)}, jit=False, verify=False)
    with pytest.raises(fc.UnsupportedError, match=r"fc\.around"):
        framed.pairs(x, [1, 2])
