"""The published models equal naive ISM, edges included, on one-hot, N and two-hot positions.

The full models at some hundred positions, where naive ISM takes minutes for all; small copies at every position.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from fastism_compiler.ir import Section
from scipy.interpolate import splev

import fastism_compiler as fc
from benchmarks.compare import inputs_for
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.frontend.keras.inputs import input_spec
from fastism_compiler.frontend.keras.naive import NaiveRows
from fastism_compiler.frontend.source import ReadOptions
from fastism_compiler.models.sei import b_splines
from tests.oracle import assert_close
from tests.programs import compile_tiles

FULL = ["basset", "bpnet", "beluga"]


def sequences_for(model: Any, dtype: str = "float32") -> list[Any]:
    """One sequence, mostly one-hot, with an N and a two-hot position; random other inputs."""
    first, *rest = (x.astype(dtype) for x in inputs_for(model, 1))
    length = first.shape[1]
    first[0, length // 3] = 0
    first[0, length // 2, :2] = 1
    return [first, *rest]


def some_positions(length: int, step: int) -> Any:
    """Both ends; N and the two-hot position; and others `step` apart, at every phase of the model's pools."""
    return np.unique(np.r_[0:40, length - 40 : length, length // 3, length // 2, 0:length:step])


def naive_at(model: Any, inputs: list[Any], positions: Any) -> list[Any]:
    """One sequence, each of these positions zeroed, in large batches."""
    rows = NaiveRows(model, model._inputs_struct, input_spec(model, 0, ReadOptions(letters=None)), jit=False, rows=50)
    mutants = np.repeat(inputs[0], len(positions), axis=0)
    mutants[np.arange(len(positions)), positions] = 0
    rest = [np.repeat(x, len(positions), axis=0) for x in inputs[1:]]
    return [y[None] for y in rows([mutants, *rest])]


def exact_at(model: Any, inputs: list[Any], positions: Any) -> list[Any]:
    """The same in float64."""
    return naive_at(float64_clone(model), [x.astype("float64") for x in inputs], positions)


@pytest.mark.parametrize("name", FULL)
def test_full_models_in_float32(name: str) -> None:
    options = {"scale": 0.25} if name == "beluga" else {}  # `benchmarks.compare` has it at its full size
    model = getattr(fc.models, name)(**options)
    inputs = sequences_for(model)
    positions = some_positions(inputs[0].shape[1], step=27 if name == "beluga" else 7)
    program = fc.compile(model, ranges=[(int(p), int(p) + 1) for p in positions], verify=False)
    assert not program.plan.naive
    ours = program(inputs if len(inputs) > 1 else inputs[0])
    assert_close(ours, naive_at(model, inputs, positions), exact=lambda: exact_at(model, inputs, positions))


SHORTER: dict[str, dict[str, Any]] = {
    "basset": {"length": 400},
    "bpnet": {"length": 400, "filters": 16, "dilated": 5},
    "beluga": {"scale": 0.1},
}
"""Every layer, but fewer positions or channels: naive ISM in float64 is slow."""


@pytest.mark.traced
@pytest.mark.parametrize("name", FULL)
def test_float64(name: str) -> None:
    model = float64_clone(getattr(fc.models, name)(**SHORTER[name]))
    inputs = sequences_for(model, "float64")
    program = fc.compile(model, jit=False, verify=False)
    assert not program.plan.naive
    positions = some_positions(inputs[0].shape[1], step=7)
    ours = [y[:, positions] for y in keras.tree.flatten(program(inputs if len(inputs) > 1 else inputs[0]))]
    assert_close(ours, naive_at(model, inputs, positions), atol=1e-12, rtol=1e-9)


SMALL: dict[str, dict[str, Any]] = {
    "factorized_basset": {"length": 200},
    "bpnet_control_tracks": {"length": 300, "profile": 30, "filters": 8, "dilated": 4},
    "chrombpnet": {"length": 300, "profile": 60, "filters": 8, "bias_filters": 4, "dilated": 4},
    "dilated_cnn": {"length": 160, "filters": 8, "dilated": 4, "classes": 3},
    "deepstarr": {"length": 101},
    "danq": {"length": 160, "scale": 0.03, "outputs": 5},
    "scbasset": {"length": 260, "scale": 0.03, "cells": 9},
    "optimus_5prime": {},
    "promoterai": {"length": 200, "tracks": 3, "blocks": 6, "channels": 8, "crop": 40, "shortcuts": 2},
    "sei": {"length": 128, "scale": 0.02, "bases": 6, "outputs": 3},
    "basenji2": {"length": 1024, "scale": 0.02, "tracks": 3, "crop": 1},
    "spliceai": {"length": 200, "filters": 4, "blocks": 1},
    "enformer": {"length": 512, "scale": 0.02, "attention": 1, "tracks": 3, "crop": 1},
    "borzoi": {"length": 512, "scale": 0.02, "attention": 1, "tracks": 3, "crop": 2},
}
"""Small copies of the other models: the same structure, few channels."""


@pytest.mark.parametrize("name", sorted(SMALL))
def test_small_copies_in_float64(name: str) -> None:
    model = float64_clone(getattr(fc.models, name)(**SMALL[name]))
    inputs = sequences_for(model, "float64")
    program = compile_tiles(model, jit=False, verify=False)
    positions = np.arange(inputs[0].shape[1])
    ours = program(inputs if len(inputs) > 1 else inputs[0])
    assert_close(ours, naive_at(model, inputs, positions), atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("name", sorted(SMALL))
def test_small_copies_in_float32(name: str) -> None:
    model = getattr(fc.models, name)(**SMALL[name])
    inputs = sequences_for(model)
    program = compile_tiles(model, verify=False)
    positions = np.arange(inputs[0].shape[1])
    naive = naive_at(model, inputs, positions)
    ours = program(inputs if len(inputs) > 1 else inputs[0])
    assert_close(ours, naive, exact=lambda: exact_at(model, inputs, positions))


def test_most_models_are_windowed_through_all_their_convolutions() -> None:
    windowed = []
    for name in [*FULL, *SMALL]:
        options = SMALL.get(name, {"scale": 0.1} if name == "beluga" else {})
        model = getattr(fc.models, name)(**options)
        program = fc.compile(model, ranges=[(0, 1), (40, 41)], verify=False)
        convolutions = [n for n in program.graph.nodes(Section.REFERENCE) if "conv" in n.op]
        assert convolutions
        if all(n.has_window for n in convolutions):
            windowed.append(name)
    assert sorted({*FULL, *SMALL} - set(windowed)) == ["borzoi", "enformer"]  # convolutions behind attention


def test_no_two_layers_have_the_same_weights() -> None:
    """Or swapped heads and layers would go unnoticed; the same seed gives the same model all the same."""
    model, again = fc.models.deepstarr(length=49), fc.models.deepstarr(length=49)
    first, second = (model.get_layer(name).kernel.numpy() for name in ("developmental", "housekeeping"))
    assert (first != second).all()
    np.testing.assert_array_equal(model.get_weights()[-2], again.get_weights()[-2])


def test_the_splines_of_sei_are_those_of_scipy() -> None:
    positions, count, order = 64, 16, 4
    x = np.arange(positions)
    knots = np.concatenate([[0] * order, np.linspace(0, x[-1], count - order + 2)[1:-1], [x[-1]] * order])
    expected = [splev(x, (knots, row, order - 1)) for row in np.eye(count)]
    np.testing.assert_allclose(b_splines(positions, count), np.stack(expected, axis=1), atol=1e-12)
