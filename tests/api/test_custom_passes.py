"""The passes of examples/custom_passes.py, before and after."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize

L = keras.layers


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))
    return importlib.import_module("custom_passes")


def model() -> Any:
    x = inputs = L.Input((30, 4))
    x = L.Conv1D(6, 5, padding="same", activation="relu")(x)
    x = L.Conv1D(16, 1, use_bias=False, name="first")(x)
    x = L.Conv1D(8, 1, use_bias=False, name="second")(x)
    return float64_clone(randomize(keras.Model(inputs, L.Conv1D(1, 3, name="last")(x))))


def test_a_rewrite_keeps_the_numbers_and_the_live_weights(example: Any) -> None:
    m, pipeline = model(), fc.default_pipeline().insert_after("canonicalize", example.FoldPointwisePass())
    plain, folded = fc.compile(m, jit=False), fc.compile(m, jit=False, pipeline=pipeline)
    assert "first" in [layer.layer for layer in plain.plan.layers]
    assert "first" not in [layer.layer for layer in folded.plan.layers]
    assert folded.plan.multiply_adds < plain.plan.multiply_adds
    x = np.eye(4)[np.random.default_rng(0).integers(0, 4, (2, 30))]
    np.testing.assert_allclose(folded(x), plain(x), rtol=1e-9, atol=1e-12)
    randomize(m, seed=3)
    np.testing.assert_allclose(folded(x), plain(x), rtol=1e-9, atol=1e-12)


def test_an_analysis_reports(example: Any) -> None:
    reach = example.ReceptiveFieldPass()
    fc.compile(model(), jit=False, pipeline=fc.default_pipeline().insert_after("propagate-ranges", reach))
    assert (reach.report["first"], reach.report["last"]) == (5, 7)


def test_the_example_runs(example: Any, capsys: Any) -> None:
    example.main()
    assert "positions reached" in capsys.readouterr().out
