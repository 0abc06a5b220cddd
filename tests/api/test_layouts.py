"""Sequence inputs that are not `[batch, length, letters]`: recognised, and used as the model takes them, everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize
from fastism_compiler.mutations.layout import SequenceLayout, find_layout
from tests.runs.models import write_fasta

L = keras.layers
LENGTH = 23
SHAPES = [(4, LENGTH), (1, LENGTH, 4), (LENGTH, 1, 4), (LENGTH, 4, 1), (4, LENGTH, 1), (4, 1, LENGTH), (1, 4, LENGTH)]


def model_of(shape: tuple[int, ...], length: int | None = LENGTH) -> keras.Model:
    """Convolutions along the positions, as users write them for this layout."""
    x = inputs = L.Input([length if n == LENGTH else n for n in shape])
    at, letters = shape.index(LENGTH), shape.index(4)
    if len(shape) == 2:
        y = L.Conv1D(5, 3, padding="same", activation="relu")(L.Permute((2, 1))(x))
    elif shape[-1] == 1:  # one channel; the kernel covers the letters
        kernel = [0, 0]
        kernel[at], kernel[letters] = 3, 4
        y = L.Conv2D(5, kernel, activation="relu")(x)
    else:  # letters are the channels, or become them
        y = x
        if letters != 2:
            y, at = L.Permute((2, 3, 1) if letters == 0 else (1, 3, 2))(x), 1
        y = L.Conv2D(5, [3 if axis == at else 1 for axis in (0, 1)], padding="same", activation="relu")(y)
    pooled = L.GlobalMaxPooling1D()(y) if len(shape) == 2 else L.GlobalMaxPooling2D()(y)
    return randomize(keras.Model(inputs, L.Dense(2, name="head")(pooled)))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def canonical(rng: np.random.Generator, count: int = 2) -> Any:
    return np.eye(4, dtype="float32")[rng.integers(0, 4, (count, LENGTH))]


def as_model(x: Any, shape: tuple[int, ...]) -> Any:
    """Independent of the package: by name of the axes."""
    swapped = shape.index(4) < shape.index(LENGTH)
    return (x.transpose(0, 2, 1) if swapped else x).reshape(len(x), *shape)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_layout_scans_positions(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    model, x = model_of(shape), canonical(rng)
    program = fc.compile(model, jit=False)
    assert program.ranges.count == LENGTH
    assert "sequences are [batch," in str(program.plan)
    scores = program(as_model(x, shape))
    for position in range(LENGTH):
        mutants = x.copy()
        mutants[:, position] = 0
        np.testing.assert_allclose(scores[:, position], model.predict(as_model(mutants, shape), verbose=0), atol=1e-5)
    assert not program.plan.stops


def test_every_way_in_takes_the_models_layout(rng: np.random.Generator, tmp_path: Path) -> None:
    shape = (4, LENGTH)
    model, x = model_of(shape), canonical(rng)
    ours, theirs = as_model(x, shape), fc.compile(_behind_a_permute(model), jit=False)
    program = fc.compile(model, jit=False)
    expected = theirs.saturate(x)
    np.testing.assert_allclose(program.saturate(ours), expected, atol=1e-5)
    np.testing.assert_allclose(program.reference(ours), theirs.reference(x), atol=1e-5)
    assert program.verify()
    np.testing.assert_allclose(program.to_keras_layer()(ours), program(ours), atol=1e-5)
    program.export(tmp_path / "p.ism")
    loaded = fc.load(tmp_path / "p.ism")
    np.testing.assert_allclose(loaded.saturate(ours), expected, atol=1e-5)
    with pytest.raises(fc.InputError, match="wrong length"):
        program(x)


def test_a_scan_reads_letters_into_the_models_layout(rng: np.random.Generator, tmp_path: Path) -> None:
    shape = (4, LENGTH)
    model, x = model_of(shape), canonical(rng)
    letters = {f"s{i}": "".join("ACGT"[n] for n in row.argmax(-1)) for i, row in enumerate(x)}
    fc.scan(
        model, write_fasta(tmp_path / "in.fa", letters), tmp_path / "out.zarr", settings=fc.ScanSettings(score="value")
    )
    found = fc.open_scan(tmp_path / "out.zarr")["scores_head"].values
    np.testing.assert_allclose(found, fc.compile(model, jit=False).saturate(as_model(x, shape)), atol=1e-5)


def test_an_open_length_may_be_any_axis(rng: np.random.Generator) -> None:
    shape = (4, LENGTH)
    model, x = model_of(shape, length=None), as_model(canonical(rng), shape)
    program = fc.compile(model, length=LENGTH, jit=False)
    np.testing.assert_allclose(program.reference(x), model.predict(x, verbose=0), atol=1e-5)
    with pytest.raises(fc.OptionError, match="leave it open"):
        fc.compile(model_of(shape), length=LENGTH + 1)


def test_the_alphabet_and_the_channels_decide() -> None:
    x = inputs = L.Input((4, 20))
    model = keras.Model(inputs, L.Flatten()(L.Conv1D(2, 3)(x)))
    assert fc.compile(model, verify=False).ranges.count == 20
    assert fc.compile(model, alphabet="ACDEFGHIKLMNPQRSTVWY", verify=False).ranges.count == 4
    told = fc.compile(model, channels=[0, 1], verify=False)
    assert told.ranges.count == 4, "channels are of the last axis"
    assert not told.plan.notes
    short = L.Input((3, 4))
    assert not fc.compile(keras.Model(short, L.Flatten()(short)), verify=False).plan.notes


@pytest.mark.parametrize("shape", [(5, 60), (20, 60), (6, 6)])
def test_axes_that_may_be_meant_otherwise_are_noted(shape: tuple[int, ...]) -> None:
    inputs = L.Input(shape)
    plan = fc.compile(keras.Model(inputs, L.Flatten()(inputs)), verify=False).plan
    assert any(f"taken for {shape[0]} positions of {shape[1]} channels" in note for note in plan.notes)
    if shape[0] != shape[1]:
        swapped = fc.compile(
            keras.Model(inputs, L.Flatten()(inputs)), alphabet="ACDEFGHIKLMNPQRSTVWY"[: shape[0]], verify=False
        )
        assert swapped.ranges.count == shape[1]


def test_what_holds_no_sequence_is_refused() -> None:
    x = inputs = L.Input((5, 6, 4))
    with pytest.raises(fc.InputError, match="letters may come first"):
        fc.compile(keras.Model(inputs, L.Flatten()(x)))


def test_positions_come_first_where_both_orders_are_possible() -> None:
    assert find_layout((4, 4), 4) is None
    assert find_layout((30, 4), 4) is None
    assert find_layout((4, 30), None) is None
    assert find_layout((4, 30), 4) == SequenceLayout((4, 30), positions=2, letters=1)
    assert find_layout((1, 4, 30), 4) == SequenceLayout((1, 4, 30), positions=3, letters=2)
    assert find_layout((30, 1, 7), 4) == SequenceLayout((30, 1, 7), positions=1, letters=3)
    assert find_layout((1, 1, 4), 4) is None


def _behind_a_permute(model: keras.Model) -> keras.Model:
    inputs = L.Input((LENGTH, 4))
    return keras.Model(inputs, model(L.Permute((2, 1))(inputs)))
