"""Integer tokens `[B, L]` as the sequence: every call of a program, and what is refused."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize

L = keras.layers
LENGTH, VOCABULARY = 11, 6


@pytest.fixture(scope="module")
def model() -> Any:
    x = inputs = L.Input((LENGTH,), dtype="int32")
    x = L.Conv1D(5, 4, padding="same", activation="relu")(L.Embedding(VOCABULARY, 4)(x))
    return float64_clone(randomize(keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))))


@pytest.fixture(scope="module")
def program(model: Any) -> fc.CompiledISM:
    return fc.compile(model, jit=False, channels=[1, 2, 3, 4])


X = np.random.default_rng(0).integers(1, 5, (3, LENGTH))


def mutant(model: Any, sequence: int, position: int, tokens: Any) -> Any:
    x = X[sequence : sequence + 1].copy()
    x[0, position : position + len(tokens)] = tokens
    return model(x).numpy()[0]


def test_a_scan_with_one_token(model: Any, program: fc.CompiledISM) -> None:
    scores = program(X, 5)
    expected = [[mutant(model, b, i, [5]) for i in range(LENGTH)] for b in range(3)]
    np.testing.assert_allclose(scores, expected, rtol=1e-9)


def test_replacements_of_every_form(model: Any) -> None:
    ranges = [(0, 2), (4, 6), (LENGTH - 2, LENGTH)]
    program = fc.compile(model, jit=False, ranges=ranges)
    table = np.random.default_rng(1).integers(0, VOCABULARY, (3, len(ranges), 2))
    expected = [[mutant(model, b, lo, table[b, r]) for r, (lo, _) in enumerate(ranges)] for b in range(3)]
    np.testing.assert_allclose(program(X, table), expected, rtol=1e-9)
    np.testing.assert_allclose(program(X, table[0])[0], expected[0], rtol=1e-9)
    np.testing.assert_allclose(program(X, table[0, 0])[0, 0], expected[0][0], rtol=1e-9)
    np.testing.assert_allclose(program(X, list(table[0]))[0], expected[0], rtol=1e-9)


def test_saturate_runs_over_the_chosen_tokens(model: Any, program: fc.CompiledISM) -> None:
    scores = program.saturate(X)
    expected = [[[mutant(model, b, i, [t]) for t in (1, 2, 3, 4)] for i in range(LENGTH)] for b in range(3)]
    np.testing.assert_allclose(scores, expected, rtol=1e-9)
    effects = program.saturate(X, delta=True)
    assert not effects[np.arange(3)[:, None], np.arange(LENGTH), X - 1].any()


def test_variants_are_spelt_in_letters_or_tokens(model: Any, program: fc.CompiledISM) -> None:
    variants = [(0, 3, "G"), (2, 0, 1), (1, LENGTH - 2, "TA"), (1, 4, [5, 0, 2])]
    tokens = [[3], [2], [4, 1], [5, 0, 2]]
    expected = [mutant(model, b, i, t) for (b, i, _), t in zip(variants, tokens, strict=True)]
    np.testing.assert_allclose(program.variants(X, variants), expected, rtol=1e-9)


def test_unchanged_tokens_have_no_effect(program: fc.CompiledISM) -> None:
    assert not np.any(program(X, X[:, :, None], delta=True))


def test_the_drop_in_takes_tokens(model: Any) -> None:
    scores = fc.NaiveISM(model)(X, 5)
    np.testing.assert_allclose(fc.FastISM(model)(X, 5), scores, rtol=1e-9)


@pytest.mark.parametrize("token", [-VOCABULARY - 1, VOCABULARY])
def test_tokens_outside_the_vocabulary_are_refused(program: fc.CompiledISM, token: int) -> None:
    wrong = X.copy()
    wrong[1, 4] = token
    with pytest.raises(fc.InputError, match=r"inside the vocabulary[\s\S]*at \[1, 4\]"):
        program(wrong)
    with pytest.raises(fc.InputError, match="inside the vocabulary"):
        program(X, token)
    with pytest.raises(fc.InputError, match="inside the vocabulary"):
        program.variants(X, [(0, 0, [token])])


def test_negative_tokens_count_from_the_end_of_the_table_as_in_keras(model: Any, program: fc.CompiledISM) -> None:
    x = X.copy()
    x[1, 4] = -1
    np.testing.assert_allclose(program.reference(x), model(x), rtol=1e-9)
    np.testing.assert_allclose(program(X, -VOCABULARY)[2, 3], mutant(model, 2, 3, [-VOCABULARY]), rtol=1e-9)
    np.testing.assert_allclose(program.variants(X, [(0, 0, [-2])])[0], mutant(model, 0, 0, [-2]), rtol=1e-9)


def test_tokens_are_whole_numbers() -> None:
    x = L.Input((LENGTH,))
    program = fc.compile(keras.Model(x, L.Embedding(VOCABULARY, 2)(x)), jit=False, verify=False)
    for call in (
        lambda: program(X + 0.5),
        lambda: program(X.astype("int64") + (1 << 32)),
        lambda: program(X, 1.5),
        lambda: program(X, np.nan),
        lambda: program.variants(X, [(0, 0, [2.5])]),
    ):
        with pytest.raises(fc.FastISMError, match=r"whole numbers|must be finite"):
            call()


def test_letters_must_be_in_the_vocabulary(model: Any) -> None:
    with pytest.raises(fc.OptionError, match="token numbers"):
        fc.compile(model, channels=[1, VOCABULARY])


def test_wrong_forms_are_refused(program: fc.CompiledISM) -> None:
    with pytest.raises(fc.ReplacementError, match=r"a number, \[1\], \[11, 1\], \[3, 11, 1\]"):
        program(X, np.zeros((2, 3, 4, 5)))
    with pytest.raises(fc.ReplacementError, match="w"):
        program.variants(X, [(0, 0, [[1, 2]])])
