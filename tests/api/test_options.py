"""Options: checked in one place, before a model is read; what depends on the model, before anything is compiled."""

from __future__ import annotations

from dataclasses import fields
from inspect import signature
from typing import Any

import keras
import pytest

import fastism_compiler as fc
from fastism_compiler.compiler import compile_source
from fastism_compiler.frontend.registry import read_model
from fastism_compiler.options import CompileOptions
from tests.graphs import GRAPHS


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"precision": "float16"}, "no such precision"),
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 1.5}, "batch_size"),
        ({"batch_size": True}, "batch_size"),
        ({"memory_budget": "much"}, "memory_budget"),
        ({"memory_budget": -1}, "memory_budget"),
        ({"devices": ["GPU:7"]}, "devices="),
        ({"devices": []}, "devices="),
        ({"target": "tpu"}, "target"),
        ({"target": "gpu", "autotune": True}, "autotune="),
    ],
)
def test_what_no_model_can_be_compiled_with(options: dict[str, Any], rule: str) -> None:
    with pytest.raises(fc.OptionError, match=rule):
        fc.compile("a file that is never opened.keras", **options)


def test_compile_takes_every_option_with_its_default() -> None:
    taken = {name: p.default for name, p in signature(fc.compile).parameters.items() if name != "model"}
    assert taken == {f.name: f.default for f in fields(CompileOptions)}


@pytest.mark.parametrize(("dtype", "at"), [("float8_e4m3fn", "end"), ("float8_e5m2", "begin"), ("string", "begin")])
def test_dtypes_of_no_array_are_refused(dtype: str, at: str) -> None:
    inputs = keras.Input((8, 4), dtype=dtype if at == "begin" else "float32", name="seq")
    y = keras.layers.Conv1D(2, 3)(keras.ops.cast(inputs, "float32"))
    model = keras.Model(inputs, keras.ops.cast(y, dtype if at == "end" else "float32"))
    with pytest.raises(fc.UnsupportedError, match=dtype):
        fc.compile(model, jit=False)


def test_what_depends_on_the_model_is_checked_first() -> None:
    source = read_model(GRAPHS["conv_valid"]())
    with pytest.raises(fc.LayerNameError, match="nowhere"):
        compile_source(source, CompileOptions(stop_at="nowhere", outputs={"no such output": None}))
