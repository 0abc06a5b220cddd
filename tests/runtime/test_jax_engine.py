"""Programs that JAX runs: the numbers of naive ISM, weights that follow training, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.host import jax_device
from fastism_compiler.models.randomize import randomize
from fastism_compiler.runtime.jax_engine import JaxEngine
from tests.graphs import GRAPHS
from tests.oracle import as_model_takes, assert_close, make_inputs, naive_scan
from tests.programs import compile_tiles

NAMES = ["residual_tower", "recurrent", "attention", "other_inputs_meet_first", "tokens_embedded"]


def program_of(model: keras.Model, **options: Any) -> fc.CompiledISM:
    seq_input = "seq" if len(model.inputs) > 1 else 0
    return compile_tiles(model, seq_input=seq_input, runtime="jax", verify=False, **options)


@pytest.mark.parametrize("name", NAMES)
def test_against_naive_ism(name: str) -> None:
    model = randomize(GRAPHS[name]())
    program = program_of(model)
    assert all(isinstance(engine, JaxEngine) for engine in program.engines)
    assert any(note.startswith("JAX runs the program, on ") for note in program.plan.notes)
    inputs = make_inputs(model, batch=3)
    ranges = [(i, i + 1) for i in range(inputs["seq"].shape[1])]
    assert_close(program(as_model_takes(model, inputs)), naive_scan(model, inputs, ranges, lambda r: 0))


@pytest.fixture(scope="module")
def both() -> tuple[keras.Model, fc.CompiledISM, fc.CompiledISM]:
    model = randomize(GRAPHS["residual_tower"]())
    return model, program_of(model), compile_tiles(model, verify=False)


@pytest.mark.parametrize(
    "call",
    [
        lambda p, x: p.saturate(x),
        lambda p, x: p(x[:1], delta=True),
        lambda p, x: p.variants(x, [(0, 3, "A"), (2, 5, "T"), (1, 0, "N")]),
        lambda p, x: p.reference(x),
    ],
)
def test_every_call_gives_what_tensorflow_gives(call: Callable[..., Any], both: Any) -> None:
    model, ours, theirs = both
    x = make_inputs(model, batch=3)["seq"]
    x[x.sum(-1) != 1] = [1, 0, 0, 0]
    assert_close(call(ours, x), [np.asarray(y) for y in keras.tree.flatten(call(theirs, x))])


def test_results_are_the_users_own(both: Any) -> None:
    """JAX's arrays are read-only."""
    model, ours, _ = both
    x = make_inputs(model, batch=2)["seq"]
    for result in (ours(x), ours.saturate(x)):
        assert all(y.flags.writeable for y in keras.tree.flatten(result))


def test_weights_follow_training(both: Any) -> None:
    model, ours, _ = both
    inputs = make_inputs(model, batch=2)
    before = ours(inputs["seq"])
    weights = model.get_weights()
    model.set_weights([1.1 * w for w in weights])
    ranges = [(i, i + 1) for i in range(inputs["seq"].shape[1])]
    naive = naive_scan(model, inputs, ranges, lambda r: 0)
    assert max(np.abs(y - z).max() for y, z in zip(before, naive, strict=True)) > 1e-3
    assert_close(ours(inputs["seq"]), naive)
    model.set_weights(weights)
    assert ours.verify(inputs["seq"])


def test_windows_around_the_change_and_rounded_products() -> None:
    x = inputs = keras.Input((60, 4))
    for _ in range(3):
        x = keras.layers.Conv1D(8, 5, padding="same", activation="relu")(x)
    model = randomize(keras.Model(inputs, keras.layers.Dense(2)(x)))
    letters = make_inputs(model, batch=2)["seq"]
    options: dict[str, Any] = {"outputs": {0: fc.around(4)}, "verify": False}
    ours, theirs = (compile_tiles(model, runtime=runtime, **options) for runtime in ("jax", "tensorflow"))
    assert_close(ours(letters), [np.asarray(y) for y in keras.tree.flatten(theirs(letters))])
    rounded = program_of(model, precision="tf32")
    assert rounded.verify(letters)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"runtime": "torch"}, "no such runtime"),
        ({"runtime": None}, "no such runtime"),
        ({"runtime": "jax", "jit": False}, "no jit= with runtime='jax'"),
        ({"runtime": "jax", "devices": "CPU:0"}, "no devices= with"),
        ({"runtime": "jax", "autotune": True}, "no autotune= with"),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], rule: str) -> None:
    with pytest.raises(fc.OptionError, match=rule):
        fc.compile(GRAPHS["residual_tower"](), **options)


def test_float64_is_refused() -> None:
    x = keras.Input((10, 4), dtype="float64")
    model = keras.Model(x, keras.layers.Conv1D(2, 3, dtype="float64")(x))
    with pytest.raises(fc.UnsupportedError, match="does not run on JAX"):
        fc.compile(model, runtime="jax")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(jax_device, "import_module", missing)
    with pytest.raises(fc.OptionError, match=r"pip install 'fastism-compiler\[jax\]'"):
        fc.compile(GRAPHS["residual_tower"](), runtime="jax")


def test_a_gpu_of_jax_is_planned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory is the budget, and its kernels are the plan's; what runs is the CPU of this machine."""

    class Gpu:
        platform = "gpu"

        def memory_stats(self) -> dict[str, int]:
            return {"bytes_limit": 2 << 20}

    device = Gpu()
    from fastism_compiler import options

    monkeypatch.setattr(options, "jax_device", lambda: device)
    asked = options.CompileOptions(runtime="jax")
    assert asked.machine.gpu
    assert asked.budget.bytes == 1 << 20
