"""A device without memory: one error whichever library says so, and other errors as they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import fastism_compiler as fc
from fastism_compiler.models.randomize import randomize
from fastism_compiler.runtime.naive import in_batches
from fastism_compiler.runtime.out_of_memory import out_of_memory_told
from tests.graphs import GRAPHS
from tests.programs import compile_tiles

EXHAUSTED = tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[8,2114,64]")


@pytest.mark.parametrize(
    "error",
    [
        EXHAUSTED,
        RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer"),
    ],
    ids=["tensorflow", "jax", "onnxruntime"],
)
def test_what_libraries_say(error: Exception) -> None:
    with pytest.raises(fc.MemoryBudgetError, match="memory_budget=") as caught, out_of_memory_told():
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [RuntimeError("INTERNAL: no such kernel"), fc.InputError("out of memory"), ValueError()]
)
def test_other_errors_stay(error: Exception) -> None:
    with pytest.raises(type(error)) as caught, out_of_memory_told():
        raise error
    assert caught.value is error


def fails(*_: Any) -> Any:
    raise EXHAUSTED


def test_a_program_that_finds_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    model = randomize(GRAPHS["residual_tower"]())
    program = compile_tiles(model, verify=False, jit=False)
    monkeypatch.setattr(program.engines[0], "reference_pass", lambda sequences: fails)
    with pytest.raises(fc.MemoryBudgetError, match="OOM when allocating tensor"):
        program(np.zeros((1, *model.input_shape[1:]), np.float32))


def test_whole_mutants_that_find_no_memory() -> None:
    with pytest.raises(fc.MemoryBudgetError, match="OOM when allocating tensor"):
        in_batches(fails, [np.zeros((3, 8, 4))], 2)
