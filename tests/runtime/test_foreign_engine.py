"""Programs that JAX or ONNX Runtime run: the numbers of naive ISM, weights that follow training, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf2onnx

import fastism_compiler as fc
from fastism_compiler.export.run_with_jax import Program
from fastism_compiler.host import jax_device
from fastism_compiler.host.onnx_device import OnnxDevice, onnx_device
from fastism_compiler.models.randomize import randomize
from fastism_compiler.options import CompileOptions
from fastism_compiler.runtime import runtimes
from fastism_compiler.runtime.foreign_engine import ForeignEngine
from fastism_compiler.runtime.jax_runtime import JaxRuntime
from fastism_compiler.runtime.onnx_runtime import OnnxRuntime
from tests.graphs import GRAPHS
from tests.oracle import as_model_takes, assert_close, make_inputs, naive_scan
from tests.programs import WHOLE, compile_tiles

NAMES = ["residual_tower", "recurrent", "attention", "other_inputs_meet_first", "tokens_embedded"]
FOREIGN = {"jax": "JAX runs the program, on cpu:0", "onnxruntime": "ONNX Runtime runs the program, on cpu"}


def program_of(model: keras.Model, runtime: str, **options: Any) -> fc.CompiledISM:
    seq_input = "seq" if len(model.inputs) > 1 else 0
    return compile_tiles(model, seq_input=seq_input, runtime=runtime, verify=False, **options)


@pytest.mark.parametrize(
    ("name", "runtime"),
    [*((name, "jax") for name in NAMES), ("recurrent", "onnxruntime"), ("attention", "onnxruntime")],
)
def test_against_naive_ism(name: str, runtime: str) -> None:
    model = randomize(GRAPHS[name]())
    program = program_of(model, runtime)
    assert all(isinstance(engine, ForeignEngine) for engine in program.engines)
    assert FOREIGN[runtime] in program.plan.notes
    inputs = make_inputs(model, batch=3)
    ranges = [(i, i + 1) for i in range(inputs["seq"].shape[1])]
    assert_close(program(as_model_takes(model, inputs)), naive_scan(model, inputs, ranges, lambda r: 0))


@pytest.fixture(scope="module", params=FOREIGN)
def both(request: pytest.FixtureRequest) -> tuple[keras.Model, fc.CompiledISM, fc.CompiledISM]:
    model = randomize(GRAPHS["residual_tower"]())
    return model, program_of(model, request.param), compile_tiles(model, verify=False)


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
    """Those of these libraries are read-only."""
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
    rounded = program_of(model, "jax", precision="tf32")
    assert rounded.verify(letters)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"runtime": "torch"}, "no such runtime"),
        ({"runtime": None}, "no such runtime"),
        ({"runtime": "jax", "jit": False}, "got: +jit="),
        ({"runtime": "onnxruntime", "jit": False}, "got: +jit="),
        ({"runtime": "onnxruntime", "precision": "tf32"}, "got: +precision="),
        ({"runtime": "jax", "devices": "CPU:0"}, "got: +devices="),
        ({"runtime": "jax", "autotune": True}, "got: +autotune="),
    ],
)
def test_what_does_not_go_together_is_refused(options: dict[str, Any], rule: str) -> None:
    with pytest.raises(fc.OptionError, match=rule):
        fc.compile(GRAPHS["residual_tower"](), **options)


def test_models_whose_weights_are_constants_and_several_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = inputs = keras.Input((40, 4))
    x = keras.layers.Conv1D(64, 17, activation="relu", padding="same")(x)
    first = randomize(keras.Model(inputs, keras.layers.GlobalMaxPooling1D()(x)))
    models = [first, randomize(keras.models.clone_model(first), seed=2)]
    letters = make_inputs(first, batch=2)["seq"]
    ranges = [(i, i + 1) for i in range(40)]
    naive = [naive_scan(model, {"seq": letters}, ranges, lambda r: 0)[0] for model in models]
    both = compile_tiles(models, runtime="jax", verify=False)
    assert_close(both(letters), [np.mean(naive, axis=0)])
    spec = [tf.TensorSpec((None, 40, 4), tf.float32, name="x")]
    proto, _ = tf2onnx.convert.from_function(tf.function(first.__call__), spec)
    constant = compile_tiles(proto, runtime="jax", verify=False)
    assert not constant.engines[0].foreign.weights
    (kernel,) = constant.engines[0].source.bindings.held
    assert_close(constant(letters), naive[:1])
    sizes: list[int] = []
    place = JaxRuntime.place

    def watched(runtime: JaxRuntime, tensor: Any) -> Any:
        sizes.append(int(np.size(tensor)))
        return place(runtime, tensor)

    monkeypatch.setattr(JaxRuntime, "place", watched)
    constant(letters[:1])
    constant.reference(letters)
    assert kernel.numpy().size not in sizes, "constants stay on the device"
    constant.export(tmp_path / "modules", "stablehlo", batch_size=2)
    assert kernel.numpy().tobytes()[:32].hex().upper() not in (tmp_path / "modules" / "scan.mlir").read_text()
    exported = Program(tmp_path / "modules")("scan", x=letters, replacement=np.zeros((1, 4), "float32"))
    assert_close(list(exported.values()), naive[:1])


def test_an_exported_program_runs_in_tensorflow(tmp_path: Path) -> None:
    inputs = keras.Input((12, 4))
    model = randomize(keras.Model(inputs, keras.layers.Conv1D(2, 3)(inputs)))
    program = program_of(model, "jax", batch_size=1)
    program.export(tmp_path / "a.ism", "ism")
    loaded = fc.load(tmp_path / "a.ism")
    assert not [note for note in (*loaded.notes, *loaded.plan.notes) if "runs the program" in note]
    letters = make_inputs(model, batch=2)["seq"]
    assert_close(loaded(letters), [program(letters)])


@pytest.mark.parametrize("runtime", FOREIGN)
def test_operations_that_a_library_does_not_know_are_refused_by_layer(runtime: str) -> None:
    @keras.saving.register_keras_serializable()
    class Outside(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return tf.ensure_shape(tf.numpy_function(np.tanh, [x], tf.float32), x.shape)

    x = keras.Input((12, 4))
    model = keras.Model(x, Outside(name="outside")(keras.layers.Conv1D(2, 3)(x)))
    program = compile_tiles(model, runtime=runtime, verify=False)
    with pytest.raises(fc.UnsupportedError, match=r"runtime='tensorflow'(.|\n)*outside"):
        program(np.zeros((1, 12, 4), "float32"))


def test_what_a_library_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Client:
        def compile_and_load(self, text: str, devices: Any) -> Any:
            raise RuntimeError("INTERNAL: no such call\nmore")

    device: Any = SimpleNamespace(client=Client(), platform="cpu", memory_stats=dict)
    monkeypatch.setattr(runtimes, "jax_device", lambda: device)
    monkeypatch.setattr(JaxRuntime, "place", lambda runtime, tensor: tensor)
    program = compile_tiles(GRAPHS["residual_tower"](), runtime="jax", verify=False)
    x = np.zeros((1, *program.inputs.types[0].shape[1:]), "float32")
    with pytest.raises(fc.UnsupportedError, match=r"JAX cannot compile the program(.|\n)*no such call$"):
        program(x)

    def fails(device: OnnxDevice, model: Any) -> Any:
        raise RuntimeError("NOT_IMPLEMENTED : no such kernel\nmore")

    monkeypatch.setattr(OnnxDevice, "session", fails)
    program = compile_tiles(GRAPHS["residual_tower"](), runtime="onnxruntime", verify=False)
    with pytest.raises(fc.UnsupportedError, match=r"ONNX Runtime cannot run the program(.|\n)*no such kernel$"):
        program(x)


def test_what_jax_does_not_have_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        jax_device, "jax_library", lambda: SimpleNamespace(devices=lambda: [SimpleNamespace(platform="tpu")])
    )
    with pytest.raises(fc.OptionError, match="CPUs and GPUs"):
        jax_device.jax_device()

    def none() -> Any:
        raise RuntimeError("Unable to initialize backend")

    monkeypatch.setattr(jax_device, "jax_library", lambda: SimpleNamespace(devices=none))
    with pytest.raises(fc.OptionError, match=r"finds no device(.|\n)*JAX_PLATFORMS"):
        jax_device.jax_device()


@pytest.mark.parametrize("runtime", FOREIGN)
def test_float64_is_refused(runtime: str) -> None:
    x = keras.Input((10, 4), dtype="float64")
    model = keras.Model(x, keras.layers.Conv1D(2, 3, dtype="float64")(x))
    with pytest.raises(fc.UnsupportedError, match="a float64 model does not run in"):
        fc.compile(model, runtime=runtime)


@pytest.mark.parametrize(("runtime", "extra"), [("jax", "jax"), ("onnxruntime", "onnx")])
def test_a_missing_library_is_named(runtime: str, extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    no_other_library(monkeypatch)
    with pytest.raises(fc.OptionError, match=rf"pip install 'fastism-compiler\[{extra}\]'"):
        fc.compile(GRAPHS["residual_tower"](), runtime=runtime)


def no_other_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr("fastism_compiler.extras.import_module", missing)


class Gpu:
    """A device of JAX that is no device of this machine."""

    platform = "gpu"

    def memory_stats(self) -> dict[str, int]:
        return {"bytes_limit": 3 << 20, "bytes_in_use": 1 << 20}


def test_a_gpu_of_jax_is_planned_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its memory is the budget, and its kernels are the plan's; what runs is the CPU of this machine."""
    monkeypatch.setattr(runtimes, "jax_device", Gpu)
    asked = CompileOptions(runtime="jax")
    assert asked.machine.gpu
    assert asked.budget.bytes == 1 << 20


def test_auto_takes_the_first_that_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = lambda: type(CompileOptions(runtime="auto").foreign)  # noqa: E731
    assert chosen() is type(None)
    monkeypatch.setattr(runtimes, "onnx_device", lambda: OnnxDevice("cuda"))
    assert chosen() is OnnxRuntime
    assert CompileOptions(runtime="auto").machine.gpu
    assert not CompileOptions(runtime="auto", precision="tf32").machine.gpu
    assert not CompileOptions(runtime="auto", jit=False).machine.gpu
    wide = keras.Model(x := keras.Input((10, 4), dtype="float64"), keras.layers.Conv1D(2, 3, dtype="float64")(x))
    assert not fc.compile(wide, runtime="auto", verify=False).engines[0].context.machine.gpu
    monkeypatch.setattr(runtimes, "jax_device", Gpu)
    assert chosen() is JaxRuntime
    monkeypatch.setattr(runtimes, "runs_on_gpu", lambda: True)
    assert chosen() is type(None)
    monkeypatch.undo()
    no_other_library(monkeypatch)
    assert chosen() is type(None)


def test_a_library_built_for_gpus_on_a_machine_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX Runtime names the provider all the same; a session falls back to the CPU, or is refused."""
    library = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(library, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"])
    assert onnx_device() == OnnxDevice("cpu")


@pytest.mark.parametrize("runtime", FOREIGN)
def test_macros_are_expanded_small_probabilities_are_kept(runtime: str) -> None:
    inputs = keras.Input((20, 4))
    x = keras.layers.BatchNormalization()(keras.layers.Conv1D(4, 3, padding="same")(inputs))
    x = keras.layers.SeparableConv1D(4, 3, padding="same")(keras.layers.ReLU()(x))
    model = randomize(keras.Model(inputs, keras.layers.Dense(2, activation="sigmoid")(keras.layers.Flatten()(x))))
    model.layers[-1].bias.assign([-18, 3])
    program = program_of(model, runtime)
    letters = make_inputs(model, batch=1)["seq"]
    naive = naive_scan(model, {"seq": letters}, [(i, i + 1) for i in range(20)], lambda r: 0)
    assert naive[0].min() < 1e-6
    np.testing.assert_allclose(program(letters), naive[0], rtol=1e-4)
    np.testing.assert_allclose(program.reference(letters), model(letters).numpy(), rtol=1e-4)


SCALES = tf.constant(np.random.default_rng(0).normal(size=(3, 400)), tf.float32)
"""Too large to be a constant of a trace: a function that reads it takes it as an argument."""


def sorted_and_scaled(x: Any) -> Any:
    return tf.sort(tf.tensordot(x, SCALES, 1), axis=-1)


def test_a_reduction_may_close_over_a_tensor() -> None:
    inputs = keras.Input((12, 4))
    model = randomize(keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(inputs))))
    letters = make_inputs(model, batch=2)["seq"]
    ours, theirs = (program_of(model, runtime, reduce=sorted_and_scaled) for runtime in ("jax", "tensorflow"))
    assert_close(ours(letters), [theirs(letters)])
    with pytest.raises(fc.UnsupportedError, match="closes over a large tensor"):
        program_of(model, "onnxruntime", reduce=sorted_and_scaled)(letters)


def test_what_is_not_selected_may_be_what_only_tensorflow_runs() -> None:
    inputs = keras.Input((12, 4))
    x = keras.layers.Conv1D(3, 3, name="selected")(inputs)
    other = keras.layers.Lambda(lambda x: tf.ensure_shape(tf.numpy_function(np.tanh, [x], tf.float32), x.shape))(x)
    model = randomize(keras.Model(inputs, [x, other]))
    program = program_of(model, "jax", outputs=["selected"])
    letters = make_inputs(model, batch=1)["seq"]
    np.testing.assert_allclose(program.reference(letters), model(letters)[0], atol=1e-5)
    assert program(letters).shape == (1, 12, 10, 3)


@pytest.mark.parametrize("runtime", FOREIGN)
def test_what_is_not_finite_is_left_to_the_model(runtime: str) -> None:
    inputs = keras.Input((12, 4))
    x = keras.layers.MaxPooling1D(3)(keras.ops.log(keras.layers.Conv1D(2, 3)(inputs)))
    model = randomize(keras.Model(inputs, x))
    letters = make_inputs(model, batch=2)["seq"]
    ours, theirs = (fc.compile(model, runtime=r, verify=False, pipeline=WHOLE) for r in (runtime, "tensorflow"))
    np.testing.assert_allclose(ours(letters), theirs(letters), rtol=1e-5)


@pytest.mark.parametrize("runtime", FOREIGN)
def test_whole_mutants_run_there_and_doubtful_ones_in_the_model(runtime: str) -> None:
    inputs = keras.Input((12, 4))
    model = randomize(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs))))
    program = fc.compile(model, runtime=runtime, verify=False, pipeline=WHOLE)
    assert program.plan.naive
    letters = make_inputs(model, batch=2)["seq"]
    calls: list[int] = []
    oracle = program.naive
    program.scorer.naive = lambda x: calls.append(1) or oracle(x)  # type: ignore[assignment, func-returns-value]
    naive = naive_scan(model, {"seq": letters}, [(i, i + 1) for i in range(12)], lambda r: 0)
    assert_close(program(letters), naive)
    assert not calls
    program.scorer.naive = oracle
    assert program.verify(letters)
