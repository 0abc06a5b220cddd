"""Sequences as texts: the same scores as from arrays, or an error that names the letter."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.mutations.spelling import spelt
from fastism_compiler.runtime.verification import random_inputs

TEXTS = ["ACGTNACGTA", "acgtAAAAxT"]
L = keras.layers


@pytest.fixture(scope="module")
def program() -> fc.CompiledISM:
    x = L.Input((10, 4))
    return fc.compile(keras.Model(x, L.Dense(1)(L.Flatten()(L.Conv1D(3, 3)(x)))), jit=False, verify=False)


def test_one_hot() -> None:
    x = fc.one_hot(TEXTS)
    assert x.shape == (2, 10, 4) and x.dtype == np.float32
    assert not x[0, 4].any() and not x[1, 8].any()
    np.testing.assert_array_equal(x[1, :4], np.eye(4))
    np.testing.assert_array_equal(fc.one_hot("XN", "NX"), [[[0, 1], [1, 0]]])
    assert fc.one_hot("ACDX", "ACDEFGHIKLMNPQRSTVWY").sum() == 3
    assert fc.one_hot("N", "ACDEFGHIKLMNPQRSTVWY").sum() == 1  # asparagine


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["ACGT", "ACG"], r"\[3, 4\]"),
        ([], "none"),
        ([""], r"\[0\]"),
        (["ACGT", "AZGT"], "'Z' at position 1 of sequence 1"),
        (["ACGT", 3], "sequence 1: int"),
    ],
)
def test_what_is_no_sequence_is_refused(texts: list[str], message: str) -> None:
    with pytest.raises((fc.InputError, fc.InputTypeError), match=message):
        fc.one_hot(texts)


def test_an_alphabet_names_each_letter_once() -> None:
    with pytest.raises(fc.OptionError, match="each of them once"):
        fc.one_hot("A", "AA")


def test_programs_take_texts(program: fc.CompiledISM) -> None:
    x = fc.one_hot(TEXTS)
    for texts in (TEXTS, np.array(TEXTS), [TEXTS]):
        np.testing.assert_array_equal(program(texts), program(x))
    np.testing.assert_array_equal(program.saturate(TEXTS[0]), program.saturate(x[:1]))
    with pytest.raises(fc.InputError, match="wrong length"):
        program("ACGT")


def test_alternates_in_lower_case_and_unknown_letters(program: fc.CompiledISM) -> None:
    x = fc.one_hot(TEXTS)
    lower, upper, unknown, zeros = program.variants(
        x, [(0, 2, "t"), (0, 2, "T"), (0, 2, "N"), (0, 2, np.zeros((1, 4)))]
    )
    np.testing.assert_array_equal(lower, upper)
    np.testing.assert_array_equal(unknown, zeros)
    with pytest.raises(fc.ReplacementError, match="deletion"):
        program.variants(x, [(0, 2, "")])


def test_models_of_channels_first_and_of_tokens() -> None:
    x = L.Input((4, 10))
    first = fc.compile(keras.Model(x, L.Dense(1)(L.Flatten()(L.Permute((2, 1))(x)))), jit=False, verify=False)
    np.testing.assert_array_equal(first(TEXTS), first(fc.one_hot(TEXTS).transpose(0, 2, 1)))
    tokens = L.Input((4,), dtype="int32")
    model = keras.Model(tokens, L.Dense(1)(L.Flatten()(L.Embedding(5, 3)(tokens))))
    program = fc.compile(model, channels=[1, 2, 3, 4], jit=False, verify=False)
    np.testing.assert_array_equal(program("acgt"), program(np.array([[1, 2, 3, 4]])))
    with pytest.raises(fc.InputError, match="without one for it"):
        program("ACGN")
    with pytest.raises(fc.ReplacementError, match="alphabet"):
        program.variants("ACGT", [(0, 1, "N")])


def test_models_of_several_inputs() -> None:
    x, other = L.Input((10, 4), name="seq"), L.Input((3,), name="other")
    y = L.Concatenate()([L.Flatten()(x), other])
    program = fc.compile(keras.Model([x, other], L.Dense(1)(y)), seq_input="seq", jit=False, verify=False)
    numbers = np.ones((1, 3), "float32")
    expected = program([fc.one_hot(TEXTS[0]), numbers])
    for inputs in ([TEXTS[0], numbers], [[TEXTS[0]], numbers], {"seq": TEXTS[0], "other": numbers}):
        np.testing.assert_array_equal(program(inputs), expected)
    with pytest.raises(fc.InputTypeError, match="other"):
        program([TEXTS[0], TEXTS[1]])


def test_verification_takes_texts(program: fc.CompiledISM) -> None:
    assert program.verify(TEXTS)


def test_arrays_stay_as_they_are(program: fc.CompiledISM) -> None:
    arrays = random_inputs(program)
    assert spelt(arrays[0], program.inputs, program.letters, "ACGT") is arrays[0]
    with pytest.raises(fc.InputError, match="alphabet= with 4 letters"):
        spelt("AC", program.inputs, program.letters, "AC")
