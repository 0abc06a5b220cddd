"""Every small graph equals naive ISM at every position, in float64 and in jitted float32."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

import fastism_compiler as fc
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from fastism_compiler.runtime.traced import op_by_op
from tests.graphs import GRAPHS
from tests.oracle import as_model_takes, assert_close, make_inputs, naive_scan
from tests.programs import compile_tiles

ROOT = Path(__file__).parents[2]


def _sequence_of(model: keras.Model) -> str | int:
    return "seq" if len(model.inputs) > 1 else 0


def _compare(model: keras.Model, program: fc.CompiledISM, dtype: str, rtol: float, atol: float) -> None:
    inputs = make_inputs(model, batch=3, dtype=dtype)
    length = inputs["seq"].shape[1]
    ours = program(as_model_takes(model, inputs))
    naive = naive_scan(model, inputs, [(i, i + 1) for i in range(length)], lambda r: 0)
    assert_close(ours, naive, atol=atol, rtol=rtol)


def test_the_documentation_counts_the_graphs() -> None:
    assert f"Some {len(GRAPHS) // 5 * 5} small graphs" in (ROOT / "docs" / "exact.md").read_text()


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_float64(name: str) -> None:
    model = float64_clone(randomize(GRAPHS[name]()))
    program = compile_tiles(model, seq_input=_sequence_of(model), jit=False, verify=False)
    with op_by_op():
        _compare(model, program, "float64", rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(GRAPHS))
def test_float32_jitted(name: str) -> None:
    """The program that users get, by the default pipeline."""
    model = randomize(GRAPHS[name]())
    program = fc.compile(model, seq_input=_sequence_of(model), verify=False)
    _compare(model, program, "float32", rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["dense_block", "nested_models", "cropped_residuals", "other_input_per_position"])
def test_early_stop_at_layers(name: str) -> None:
    """At both ends and in between; one program a layer is traced, of one bucket of ranges (every third of many)."""
    model = float64_clone(randomize(GRAPHS[name]()))
    inputs = make_inputs(model, batch=2, dtype="float64")
    length = inputs["seq"].shape[1]
    ranges = [(i, i + 1) for i in (0, 1, length // 2, length - 1)]
    naive = naive_scan(model, inputs, ranges, lambda r: 0)
    layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)]
    for layer in layers[:: 3 if len(layers) > 9 else 1]:
        options = {"seq_input": _sequence_of(model), "jit": False, "verify": False}
        program = compile_tiles(model, ranges=ranges, stop_at=layer.name, **options)
        with op_by_op():
            assert_close(program(as_model_takes(model, inputs)), naive, atol=1e-12, rtol=1e-9)
