"""Every kernel is exact on its own, whether or not the cost model would choose it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from fastism_compiler.ir import Section
from fastism_compiler.ir.kernels import KERNELS
from fastism_compiler.passes.cost.model import FITTED
from fastism_compiler.passes.select_kernels import SelectKernelsPass

import fastism_compiler as fc
from fastism_compiler.emit.kernels import table
from fastism_compiler.emit.kernels.kernel_rows import product_with_slice
from fastism_compiler.emit.precision import arithmetic_of
from fastism_compiler.frontend.keras.float64 import float64_clone
from fastism_compiler.models.randomize import randomize
from fastism_compiler.runtime.engine_factory import Resources
from fastism_compiler.runtime.traced import op_by_op
from tests.graphs import GRAPHS
from tests.oracle import as_model_takes, assert_close, make_inputs, naive_scan
from tests.programs import TILES, compile_tiles

GRAPHS_WITH_CONVOLUTIONS = [
    *(name for name in GRAPHS if name.startswith("conv")),
    *("residual_tower", "cropped_residuals", "dense_block", "u_net", "reverse_complement", "depthwise_and_separable"),
]


def test_every_kernel_that_is_declared_is_computed_by_a_module_of_its_name() -> None:
    assert list(table.KERNELS) == list(KERNELS)
    for name, kernel in table.KERNELS.items():
        module = f"fastism_compiler.emit.kernels.{name.replace('-', '_')}"
        assert kernel.prepare.__module__ == kernel.apply.__module__ == module
    helpers = {"__init__", "overlap_add", "table"}
    modules = {path.stem for path in Path(str(table.__file__)).parent.glob("*.py")} - helpers
    assert modules == {name.replace("-", "_") for name in KERNELS}


@cache
def case(name: str) -> tuple[Any, Any, list[tuple[int, int]], list[Any]]:
    """A model, its inputs, ranges and naive scores, which every kernel shares."""
    model = float64_clone(randomize(GRAPHS[name]()))
    inputs = make_inputs(model, batch=2, dtype="float64")
    length = inputs["seq"].shape[1]
    width = 1 + 2 * (len(name) % 2)  # of one width, one program is compiled
    ranges = [(i, i + width) for i in (0, length // 3, length // 2, length - width)]
    return model, as_model_takes(model, inputs), ranges, naive_scan(model, inputs, ranges, lambda r: 0)


@pytest.mark.parametrize("kernel", SelectKernelsPass().kernels)
@pytest.mark.parametrize("name", GRAPHS_WITH_CONVOLUTIONS)
def test_a_kernel_alone(name: str, kernel: str) -> None:
    model, x, ranges, naive = case(name)
    pipeline = TILES.replace("select-kernels", SelectKernelsPass(kernels=(kernel,)))
    program = fc.compile(model, ranges=ranges, pipeline=pipeline, jit=False, verify=False)
    with op_by_op():
        assert_close(program(x), naive, atol=1e-12, rtol=1e-9)


def test_outputs_far_fewer_than_changes_are_gathered() -> None:
    """SpliceAI's last blocks change a thousand positions around the few that are asked for."""
    model = fc.models.spliceai(length=600, filters=4, blocks=1, crop=100)
    program = compile_tiles(model, outputs={0: slice(195, 205)}, verify=False)
    kernels = {n.facts.kernel for e in program.engines for n in e.graph.nodes(Section.TILE) if n.op == "conv"}
    assert "gather-gemm" in kernels
    program.verify(ranges=64)


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("parts", [1, 3, 15])
def test_a_product_with_a_slice_in_parts(parts: int, jit: bool) -> None:
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((4, 15)), rng.standard_normal((40, 7))
    arithmetic = arithmetic_of("float32", jit)

    @tf.function(jit_compile=jit, autograph=False)
    def traced(start: Any) -> Any:
        return product_with_slice(tf.constant(x), tf.constant(kernel), start, parts, arithmetic)

    for start in (0, 11, 25):
        np.testing.assert_allclose(traced(tf.constant(start)), x @ kernel[start : start + 15], rtol=1e-12)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_dense_kernels_in_parts(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resources = partial(Resources, cost=replace(FITTED, slice_bytes=4 * 4 * 300))
    monkeypatch.setattr("fastism_compiler.compiler.Resources", resources)
    x = inputs = keras.Input((120, 4))
    x = keras.layers.MaxPooling1D(3)(keras.layers.Conv1D(8, 7, activation="relu")(x))
    model = randomize(keras.Model(inputs, keras.layers.Dense(300)(keras.layers.Flatten()(x))))
    program = compile_tiles(model, precision=precision, verify=False)
    (dense,) = (n for n in program.engines[0].graph.nodes(Section.TILE) if n.facts.kernel == "kernel-rows")
    assert dense.facts.parts > 4
    program.verify(ranges=120)


def test_a_dense_over_positions_of_several_channels_keeps_them_apart() -> None:
    """`[B, 6, 400]` onto `[B, 6, 500]`, of whose kernel a tile reads a slice: not `[B * 6, 500]`."""
    x = inputs = keras.Input((400, 4))
    x = keras.layers.Permute((2, 1))(keras.layers.Conv1D(6, 3, padding="same")(x))
    model = randomize(keras.Model(inputs, keras.layers.Dense(500)(x)))
    program = compile_tiles(model, ranges=[(0, 1), (200, 202), (399, 400)], jit=False, verify=False)
    (dense,) = (n for n in program.engines[0].graph.nodes(Section.TILE) if n.facts.kernel == "kernel-rows")
    assert not dense.operands[0].carrier.spans(400)
    program.verify(ranges=3)
