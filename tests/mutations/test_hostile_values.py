"""Values that a user passes by mistake: refused by rule, never read as something else, never another error."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize
from fastism_compiler.planning.memory import parse_budget
from tests.programs import compile_tiles

L = keras.layers
LENGTH, ROWS = 8, 5


def _second_input() -> Any:
    sequence, cell, dose = L.Input((LENGTH, 4)), L.Input((1,), dtype="int32", name="cell"), L.Input((2,), name="dose")
    y = L.Flatten()(L.Conv1D(3, 3)(sequence))
    y = L.Concatenate()([y, L.Flatten()(L.Embedding(ROWS, 2)(cell)), dose])
    return randomize(keras.Model([sequence, cell, dose], L.Dense(2)(y)))


@pytest.fixture(scope="module")
def model() -> Any:
    return _second_input()


@pytest.fixture(scope="module")
def program(model: Any) -> fc.CompiledISM:
    return fc.compile(model, jit=False, verify=False)


X = np.eye(4, dtype=np.float32)[np.arange(2 * LENGTH).reshape(2, LENGTH) % 4]
CELL, DOSE = np.array([[1], [4]]), np.ones((2, 2), np.float32)


@pytest.mark.parametrize("token", [99, ROWS, -ROWS - 1, 1 << 40])
def test_a_second_input_keeps_to_the_vocabulary(program: fc.CompiledISM, token: int) -> None:
    with pytest.raises(fc.InputError, match=r"(inside the vocabulary|exceeds its dtype)[\s\S]*at 'cell'\[1, 0\]"):
        program([X, [[1], [token]], DOSE])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_other_inputs_are_finite(program: fc.CompiledISM, value: float) -> None:
    with pytest.raises(fc.InputError, match=r"finite[\s\S]*'dose'\[1, 0\]"):
        program([X, CELL, [[1.0, 1.0], [value, 1.0]]])
    with pytest.raises(fc.InputError, match=r"'cell'\[0, 0\]"):
        program([X, [[value], [1.0]], DOSE])


@pytest.mark.parametrize("token", [-1, -ROWS, 0, 3.7])
def test_a_second_input_takes_what_keras_takes(model: Any, program: fc.CompiledISM, token: float) -> None:
    given = [X, np.full((2, 1), token), DOSE]
    np.testing.assert_allclose(program.reference(given), model(given).numpy(), rtol=1e-5)
    mutant = X.copy()
    mutant[:, 3] = 0
    np.testing.assert_allclose(program(given)[:, 3], model([mutant, *given[1:]]).numpy(), rtol=1e-5)


def test_a_vocabulary_is_known_through_casts_and_loading(program: fc.CompiledISM, tmp_path: Path) -> None:
    assert program.inputs.vocabularies == (None, ROWS, None)
    loaded = fc.load(program.export(tmp_path / "p.ism", "ism") and tmp_path / "p.ism")
    assert loaded.inputs == program.inputs
    with pytest.raises(fc.InputError, match="inside the vocabulary"):
        loaded([X, [[1], [ROWS]], DOSE])
    cell = L.Input((2,), name="cell")
    sequence = L.Input((LENGTH, 4))
    split = keras.ops.cast(cell, "int32")[:, :1]
    y = L.Concatenate()([L.Flatten()(sequence), L.Flatten()(L.Embedding(7, 2)(split))])
    counted = fc.compile(keras.Model([sequence, cell], y), jit=False, verify=False)
    assert counted.inputs.vocabularies == (None, 7)


def test_numbers_that_an_embedding_is_only_computed_from_are_not_limited() -> None:
    sequence, cell = L.Input((LENGTH, 4)), L.Input((1,), dtype="int32", name="cell")
    y = L.Concatenate()([L.Flatten()(sequence), L.Flatten()(L.Embedding(3, 2)(cell // 10))])
    model = keras.Model([sequence, cell], y)
    program = fc.compile(model, jit=False, verify=False)
    np.testing.assert_allclose(program.reference([X, [[29], [1]]]), model([X, np.array([[29], [1]])]).numpy())


@pytest.mark.parametrize("jit", [False, True])
def test_computed_tokens_outside_of_a_table_are_refused_as_the_model_does(jit: bool) -> None:
    """XLA takes the nearest row instead."""
    sequence, cell = L.Input((LENGTH, 4), name="seq"), L.Input((1,), dtype="int32", name="cell")
    y = L.Concatenate()([L.Flatten()(L.Conv1D(2, 3)(sequence)), L.Flatten()(L.Embedding(5, 2)(cell + 1))])
    program = compile_tiles(randomize(keras.Model([sequence, cell], y)), seq_input="seq", jit=jit, verify=False)
    assert np.isfinite(program([X, [[0], [3]]])).all()
    for use in (program, program.saturate, program.reference):
        with pytest.raises(fc.InputError, match=r"100 is not in \[0, 5\)"):
            use([X, [[99], [0]]])


def test_letters_that_a_one_hot_encoding_has_no_channel_for_are_zeros() -> None:
    tokens = L.Input((LENGTH,), dtype="int32")
    model = randomize(keras.Model(tokens, L.Dense(2)(L.Flatten()(L.Conv1D(3, 3)(keras.ops.one_hot(tokens, 4))))))
    program = fc.compile(model, jit=False)
    x = np.array([[-1, 0, 1, 2, 3, 4, 99, -(1 << 31)]], np.int32)
    mutants = np.repeat(x, LENGTH * 4, axis=0)
    mutants[np.arange(LENGTH * 4), np.repeat(np.arange(LENGTH), 4)] = np.tile(np.arange(4), LENGTH)
    expected = model(mutants).numpy().reshape(1, LENGTH, 4, 2)
    np.testing.assert_allclose(program.saturate(x), expected, rtol=1e-5, atol=1e-6)
    changed = x.copy()
    changed[0, 2] = -1
    np.testing.assert_allclose(program(x, -1)[:, 2], model(changed).numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(fc.InputError, match="whole numbers"):
        program(x + 0.5)


@pytest.mark.parametrize(
    "variants", [[("a", 0, "A")], [5], 5, [(0, 3.9, "A")], [(0, np.nan, "A")], [(0, "1", "A")], [None], [(0, 0)]]
)
def test_variants_that_are_none(program: fc.CompiledISM, variants: Any) -> None:
    with pytest.raises(fc.InputError, match=r"variant|whole numbers"):
        program.variants([X, CELL, DOSE], variants)


@pytest.mark.parametrize("alternate", [[[1e39, 0, 0, 0]], [[np.nan, 0, 0, 0]], [[1, 0], [1]], {}, None, 1.5])
def test_alternates_that_are_none(program: fc.CompiledISM, alternate: Any) -> None:
    with pytest.raises(fc.ReplacementError, match="alternate"):
        program.variants([X, CELL, DOSE], [(0, 0, alternate)])


def test_whole_numbers_of_any_kind_are_positions(program: fc.CompiledISM) -> None:
    given = [X, CELL, DOSE]
    expected = program.variants(given, [(0, 3, "A"), (1, 2, "C")])
    table = [(np.int64(0), 3.0, "A"), (np.float32(1), np.int8(2), "C")]
    np.testing.assert_array_equal(program.variants(given, table), expected)


@pytest.mark.parametrize("budget", [np.nan, np.inf, 0, -1, 0.5, "9" * 5000, "0.4b", [], True])
def test_memory_budgets_that_are_none(budget: Any) -> None:
    with pytest.raises(fc.OptionError, match="memory_budget"):
        parse_budget(budget)


@pytest.mark.parametrize("ranges", [5, [5], [(1, 2, 3)], [(0, 1), (1,)], "ab", [(0.5, 2)], {}])
def test_ranges_that_are_none(model: Any, ranges: Any) -> None:
    with pytest.raises(fc.RangeError):
        fc.compile(model, ranges=ranges)


@pytest.mark.parametrize("length", [0, -5, 2_000_000_000, 3.5, True, LENGTH + 1, "8"])
def test_lengths_that_are_none(model: Any, length: Any) -> None:
    with pytest.raises(fc.OptionError, match="length"):
        fc.compile(model, length=length)


def test_a_block_is_no_larger_than_ever_pays(model: Any) -> None:
    assert fc.compile(model, jit=False, verify=False, batch_size=10**30).batch_size <= 1 << 16


def _forked(program: fc.CompiledISM, answer: Any) -> None:
    try:
        program.reference([X, CELL, DOSE])
    except fc.UnsupportedError as error:
        answer.send(str(error))


def test_a_forked_child_is_told(program: fc.CompiledISM) -> None:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_forked, args=(program, theirs))
    child.start()
    assert ours.poll(60), "the child hangs"
    assert "does not survive a fork" in ours.recv()
    child.join()


def _loads(path: str, answer: Any) -> None:
    try:
        fc.load(path)
    except fc.UnsupportedError as error:
        answer.send(str(error))


def test_a_forked_child_that_loads_a_program_is_told(program: fc.CompiledISM, tmp_path: Path) -> None:
    program.export(tmp_path / "p.ism", "ism")
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=_loads, args=(str(tmp_path / "p.ism"), theirs))
    child.start()
    assert ours.poll(60), "the child hangs"
    assert "does not survive a fork" in ours.recv()
    child.join()


def test_a_fork_before_tensorflow_has_started_is_no_fault() -> None:
    code = """
import multiprocessing, sys, fastism_compiler as fc, tensorflow
def work(answer):
    import keras
    model = keras.Sequential([keras.layers.Input((5, 4)), keras.layers.Flatten()])
    answer.send(fc.compile(model, verify=False, jit=False).ranges.count)
context = multiprocessing.get_context("fork")
ours, theirs = context.Pipe()
child = context.Process(target=work, args=(theirs,))
child.start()
assert ours.poll(100), "the child hangs"
print(ours.recv())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["5"], done.stderr[-2000:]


def test_pickles(program: fc.CompiledISM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = [X, CELL, DOSE]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(program))(x), program(x))
    program.export(tmp_path / "p.ism", "ism")
    monkeypatch.chdir(tmp_path)
    loaded = fc.load("p.ism", safe_mode=False)
    monkeypatch.chdir("/")
    again = pickle.loads(pickle.dumps(loaded))
    assert again._options == (False, "tensorflow")
    np.testing.assert_array_equal(again([X, CELL, DOSE]), loaded([X, CELL, DOSE]))
    fc.compile(keras.Model(i := L.Input((4, 4)), L.Flatten()(i)), jit=False).export(
        tmp_path / "p.ism", "ism", overwrite=True
    )
    with pytest.raises(fc.ArtifactError, match="another program"):
        pickle.loads(pickle.dumps(loaded))
    with pytest.raises(fc.ArtifactError, match="another program"):
        loaded.export(tmp_path / "copy")
