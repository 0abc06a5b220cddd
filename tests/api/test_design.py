"""`fc.design`: greedy and beam search, against a plain loop over the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.evolution import search
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from tests.graphs import GRAPHS
from tests.oracle import make_inputs

L = keras.layers
LENGTH = 14


@pytest.fixture(scope="module")
def model() -> Any:
    x = L.Input((LENGTH, 4), name="seq")
    y = L.Conv1D(5, 3, activation="relu", padding="same")(x)
    y = L.Conv1D(4, 4, activation="tanh")(y)
    return float64_clone(randomize(keras.Model(x, [L.Dense(2, name="two")(L.Flatten()(y)), L.Dense(1, name="one")(y)])))


@pytest.fixture(scope="module")
def program(model: Any) -> Any:
    return fc.compile(model, jit=False, verify=False)


@pytest.fixture(scope="module")
def x() -> Any:
    rng = np.random.default_rng(5)
    return np.eye(4)[rng.integers(0, 4, (2, LENGTH))]


def objective(outputs: Any) -> Any:
    return outputs[0][:, 0] - outputs[0][:, 1]


def score(model: Any, rows: Any) -> Any:
    return np.asarray(objective(model(rows)))


def neighbours(row: Any, free: Any) -> list[Any]:
    found = []
    for p in free:
        for letter in np.eye(4):
            if (row[p] != letter).any():
                found.append(row.copy())
                found[-1][p] = letter
    return found


def best_by_loop(model: Any, row: Any, steps: int, beam: int, free: Any, sign: int = 1) -> Any:
    """The best sequence that a plain beam search finds, and its score."""
    front, best = [row], (score(model, row[None])[0], row)
    for _ in range(steps):
        every = {n.tobytes(): n for r in front for n in neighbours(r, free)}
        values = score(model, np.stack(list(every.values())))
        order = np.argsort(-sign * values)[:beam]
        front = [list(every.values())[i] for i in order]
        if sign * values[order[0]] <= sign * best[0]:
            break
        best = values[order[0]], front[0]
    return best


@pytest.mark.parametrize(("beam", "maximise"), [(1, True), (3, True), (1, False)])
def test_it_finds_what_a_plain_loop_finds(model: Any, program: Any, x: Any, beam: int, maximise: bool) -> None:
    protected = [0, 5, 6]
    free = [p for p in range(LENGTH) if p not in protected]
    found = fc.design(program, x, objective, 4, protected=protected, beam=beam, maximise=maximise)
    for row, one in zip(x, found, strict=True):
        value, sequence = best_by_loop(model, row, 4, beam, free, 1 if maximise else -1)
        np.testing.assert_array_equal(one.sequence, sequence)
        np.testing.assert_allclose(one.path.score, value, rtol=1e-9)
        np.testing.assert_allclose(one.scores[0], score(model, row[None])[0], rtol=1e-9)
        assert one.before == "".join("ACGT"[i] for i in row.argmax(-1))
        assert one.after == "".join("ACGT"[i] for i in sequence.argmax(-1))
        assert f"{one.path.score:.4g}" in str(one)


def test_it_ends_where_nothing_is_better(program: Any, x: Any) -> None:
    (found,) = fc.design(program, x[:1], objective, 1000)
    assert found.finished
    assert len(found.path.steps) < 1000
    (again,) = fc.design(program, found.sequence[None], objective, 5)
    assert again.finished
    assert not again.path.steps


def test_it_goes_on_from_a_checkpoint(program: Any, x: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = fc.design(program, x, objective, 4, beam=2)
    calls = 0
    real = search._Search.advance

    def killed(self: Any, fronts: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        real(self, fronts)

    file = tmp_path / "design.json"
    monkeypatch.setattr(search._Search, "advance", killed)
    with pytest.raises(KeyboardInterrupt):
        fc.design(program, x, objective, 4, beam=2, checkpoint=file)
    again = fc.design(program, x, objective, 4, beam=2, checkpoint=file)
    assert calls == 5, "two steps, one killed, two more"
    for one, other in zip(whole, again, strict=True):
        assert one.path == other.path
        np.testing.assert_array_equal(one.sequence, other.sequence)
    with pytest.raises(fc.OptionError, match="of another design"):
        fc.design(program, x, objective, 4, beam=3, checkpoint=file)
    with pytest.raises(fc.OptionError, match="another model or objective"):
        fc.design(program, x, lambda y: y[0][:, 1], 4, beam=2, checkpoint=file)
    file.write_text(json.dumps({"fronts": 3}))
    with pytest.raises(fc.OptionError, match="checkpoint cannot be read"):
        fc.design(program, x, objective, 4, beam=2, checkpoint=file)


def test_a_program_of_one_number_needs_no_objective(model: Any, x: Any) -> None:
    program = fc.compile(model, reduce=objective, jit=False, verify=False)
    (found,) = fc.design(program, x[:1], steps=2)
    (same,) = fc.design(fc.compile(model, jit=False, verify=False), x[:1], objective, 2)
    assert found.path.steps == same.path.steps
    with pytest.raises(fc.OptionError, match="has a reduction already"):
        fc.design(program, x, objective)


def test_tokens() -> None:
    model = randomize(GRAPHS["tokens_embedded"]())
    program = fc.compile(model, jit=False, verify=False)
    tokens = make_inputs(model, 2)["seq"]
    found = fc.design(program, tokens, lambda y: keras.ops.sum(y, axis=tuple(range(1, len(y.shape)))), 2)
    for one in found:
        total = float(np.asarray(model(one.sequence[None])).sum())
        assert total == pytest.approx(one.path.score, rel=1e-4)


def test_in_xla_an_optimum_is_the_end(x: Any) -> None:
    narrow = randomize(keras.Model(first := L.Input((LENGTH, 4)), L.Dense(1)(L.Flatten()(L.Conv1D(3, 3)(first)))))
    program = fc.compile(narrow, verify=False)
    (found,) = fc.design(program, x[:1].astype("float32"), steps=100)
    assert found.finished
    (again,) = fc.design(program, found.sequence[None], steps=100)
    assert not again.path.steps
    lines = str(found).splitlines()
    assert len(lines) == len(found.path.steps) + 1


def test_letters_that_tie_are_no_improvement(x: Any) -> None:
    inputs = L.Input((LENGTH, 4))
    y = L.Dense(1, name="head")(L.Flatten()(L.Conv1D(6, 3, name="motif")(inputs)))
    tied = randomize(keras.Model(inputs, y))
    kernel, bias = tied.get_layer("motif").get_weights()
    kernel[:, 1] = kernel[:, 0]  # A and C are the same to it
    tied.get_layer("motif").set_weights([kernel, bias])
    program = fc.compile(tied, verify=False)
    (found,) = fc.design(program, x[:1].astype("float32"), steps=100)
    assert found.finished
    swapped = found.sequence[:, [1, 0, 2, 3]]
    (again,) = fc.design(program, swapped[None], steps=100)
    assert not again.path.steps


def test_letters_first_and_unknown_letters(x: Any) -> None:
    turned = L.Input((4, LENGTH), name="seq")
    program = fc.compile(
        keras.Model(turned, L.Dense(1)(L.Flatten()(L.Conv1D(3, 3)(keras.ops.transpose(turned, (0, 2, 1)))))),
        jit=False,
        verify=False,
    )
    given = x[:1].astype("float32").copy()
    given[0, 3] = 0
    (found,) = fc.design(program, given.transpose(0, 2, 1), steps=2)
    assert found.before[3] == "N"
    assert found.sequence.shape == (4, LENGTH)


def test_refusals(program: Any, x: Any) -> None:
    for arguments, options, rule in (
        ((x,), {}, "one number per sequence"),
        ((x, objective, 0), {}, "steps= is too small"),
        ((x, objective), {"beam": 0}, "beam= is too small"),
        ((x, objective), {"protected": [LENGTH]}, "protected positions lie inside"),
        ((x, objective), {"protected": [True]}, "flag for every position"),
        ((x, objective), {"protected": ["a"]}, "lists positions"),
        ((x, objective), {"protected": range(LENGTH)}, "no position may change"),
        ((x, lambda y: np.mean(y[0])), {}, "reduce= failed"),
        ((x, objective), {"checkpoint": "no such folder/design.json"}, "a folder that exists"),
    ):
        with pytest.raises(fc.FastISMError, match=rule):
            fc.design(program, *arguments, **options)
