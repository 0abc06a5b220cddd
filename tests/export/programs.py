"""Small programs for the export tests, and the calls that must come back the same."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize
from tests.graphs import GRAPHS
from tests.oracle import as_model_takes, make_inputs
from tests.programs import TILES, WHOLE

L = keras.layers


def model_named(name: str) -> Any:
    return randomize(GRAPHS[name]())


def compiled(model: Any, *, whole: bool = False, **options: Any) -> fc.CompiledISM:
    """A program of the tile section, or of whole mutants."""
    names = [t.name for t in model.inputs]
    options = {"seq_input": "seq" if "seq" in names else 0, "verify": False, **options}
    return fc.compile(model, pipeline=WHOLE if whole else TILES, **options)


def inputs_of(model: Any, batch: int, seed: int = 0) -> Any:
    return as_model_takes(model, make_inputs(model, batch, seed=seed))


def tiny(length: int = 21, batch_norm: bool = True) -> Any:
    """A model of every stage, small enough to be exported in a second."""
    x = inputs = keras.Input((length, 4), name="seq")
    x = L.Conv1D(5, 4, padding="same", activation="relu", name="first")(x)
    x = L.BatchNormalization(name="norm")(x) if batch_norm else x
    x = L.MaxPooling1D(2)(x)
    x = L.Conv1D(4, 3, name="second")(x)
    return randomize(keras.Model(inputs, L.Dense(2, name="head")(L.Flatten()(L.ReLU()(x))), name="tiny"))


def every_call(program: fc.CompiledISM, x: Any) -> list[Any]:
    """Flat results of every way to call a program with ranges of width 1 over channels."""
    rng = np.random.default_rng(3)
    count, columns = program.ranges.count, program.letters.columns
    batch = len(program.inputs.read(x)[0])
    results = [
        program(x),
        program(x, delta=True),
        program(x, rng.random(columns)),
        program(x, rng.random((1, columns))),
        program(x, rng.random((count, 1, columns)), delta=True),
        program(x, rng.random((batch, count, 1, columns))),
        program.saturate(x),
        program.saturate(x, delta=True),
        program.variants(x, [(0, 3, "A"), (batch - 1, 5, "GATTA"), (0, 0, 2)], delta=True),
        program.reference(x),
    ]
    return list(keras.tree.flatten(results))


def assert_same(ours: list[Any], theirs: list[Any], rtol: float = 1e-5) -> None:
    assert len(ours) == len(theirs)
    for y, z in zip(ours, theirs, strict=True):
        assert y.shape == z.shape
        assert y.dtype == z.dtype
        np.testing.assert_allclose(y, z, rtol=0, atol=1e-6 + rtol * np.abs(z).max(initial=0))
