"""ONNX: what ONNX Runtime makes of it, the rewrites, and what is refused by name."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

import fastism_compiler as fc
from fastism_compiler.emit.onnx import bind_weights, clean_names, hoist_invariants
from fastism_compiler.emit.onnx import onnx_model as converted
from fastism_compiler.emit.onnx.handlers import HANDLERS
from fastism_compiler.emit.onnx.scopes import reads, subgraphs
from fastism_compiler.export import onnx_check, onnx_model
from tests.export.programs import compiled, inputs_of, model_named, tiny
from tests.oracle import assert_close, naive_scan

L = keras.layers


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("naive", [False, True], ids=["program", "naive-loop"])
def test_against_naive_ism(naive: bool, tmp_path: Path) -> None:
    model = tiny()
    program = compiled(model)
    manifest = program.export(tmp_path / "scan.onnx", "onnx", naive=naive)
    run = session(tmp_path / "scan.onnx")
    assert [i.name for i in run.get_inputs()] == ["x", "replacement"]
    assert [o.name for o in run.get_outputs()] == ["head"]
    replacement = np.random.default_rng(0).random((1, 4)).astype(np.float32)
    for batch in (1, 2, 5):
        x = inputs_of(model, batch)
        ranges = [(i, i + 1) for i in range(21)]
        assert_close(
            run.run(None, {"x": x, "replacement": replacement}),
            naive_scan(model, {"seq": x}, ranges, lambda r: replacement),
        )
    body = json.loads(run.get_modelmeta().custom_metadata_map["fastism"])
    assert body["alphabet"] == "ACGT"
    assert body["starts"] == list(range(21))
    assert body == json.loads(manifest.to_json())


@pytest.mark.parametrize("function", ["saturate", "reference"])
def test_other_functions(function: str, tmp_path: Path) -> None:
    model = model_named("other_inputs_meet_first")
    program = compiled(model, jit=False)
    manifest = program.export(tmp_path / "model.onnx", "onnx", function=function)
    x = inputs_of(model, 3)
    tensors = {t.name: a for t, a in zip(manifest.inputs, program.inputs.read(x), strict=True)}
    expected = keras.tree.flatten(getattr(program, function)(x))
    assert_close(session(tmp_path / "model.onnx").run(None, tensors), expected)


@pytest.mark.parametrize("name", ["recurrent", "keras_ops", "logsumexp_over_positions", "several_outputs"])
def test_models_with_traps_for_the_converter(name: str, tmp_path: Path) -> None:
    """Loops inside the loop, in both directions; masks of truth values; log1p. Export compares by itself."""
    program = compiled(model_named(name), jit=False)
    manifest = program.export(tmp_path / "model.onnx", "onnx")
    assert manifest.functions == ("scan",)


def test_functions_without_an_onnx_op(tmp_path: Path) -> None:
    import tf2onnx

    x = np.array([-1, -0.5, -1e-7, 0, 1e-7, 1e-3, 0.4, 0.6, 1, 20, np.inf, np.nan], np.float32)

    def run(x: Any) -> Any:
        raw = tf.raw_ops
        kept = tf.where(x > 0, x, tf.constant(np.nan))
        flags = tf.where(x > 0, tf.constant(True), x < -0.7)
        return raw.Erfc(x=x), raw.Log1p(x=x), raw.Expm1(x=x), kept, flags

    traced = tf.function(run, autograph=False, input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    model, _ = tf2onnx.convert.from_function(
        traced, input_signature=traced.input_signature, opset=18, custom_op_handlers=dict(HANDLERS)
    )
    onnx.save(model, tmp_path / "f.onnx")
    expected = [np.asarray(y) for y in run(tf.constant(x))]
    for y, z in zip(session(tmp_path / "f.onnx").run(None, {"x": x}), expected, strict=True):
        assert y.dtype == z.dtype
        np.testing.assert_allclose(y, z, rtol=3e-6, atol=2e-7 * (z.dtype == np.float32))


def test_slices_that_only_xla_has() -> None:
    """A slice that begins anywhere; a part written along one axis, or all of it. One along two axes is refused."""
    x, part = np.arange(20, dtype=np.float32).reshape(4, 5), -np.ones((4, 2), np.float32)
    specs = [tf.TensorSpec(y.shape, y.dtype, name=n) for n, y in (("x", x), ("part", part), ("at", np.int32(0)))]

    def run(x: Any, part: Any, at: Any) -> list[Any]:
        begin = tf.stack([0, at])
        sliced = xla.dynamic_slice(x, tf.stack([at, 1]), [2, 3])
        return [sliced, xla.dynamic_update_slice(x, part, begin), xla.dynamic_update_slice(x, x + 1, [0, 0])]

    def corner(x: Any, part: Any, at: Any) -> list[Any]:
        return [xla.dynamic_update_slice(x, part[:2], tf.stack([at, at]))]

    model = onnx_model_of(run, specs)
    for at in (0, 2):
        got = onnxruntime.InferenceSession(model).run(None, {"x": x, "part": part, "at": np.array(at, np.int32)})
        written = x.copy()
        written[:, at : at + 2] = part
        for y, z in zip(got, (x[at : at + 2, 1:4], written, x + 1), strict=True):
            np.testing.assert_array_equal(y, z)
    with pytest.raises(fc.UnsupportedError, match="XlaDynamicUpdateSlice"):
        onnx_model_of(corner, specs)


def onnx_model_of(run: Any, specs: list[Any]) -> bytes:
    return converted(run, specs, [], None, "y{}".format, "").SerializeToString()


def loop_model() -> onnx.ModelProto:
    """`y[i] = x + sum over rounds of exp(w) * i`, with `w` carried and `exp(w)` computed in every round."""
    text = """
    <ir_version: 9, opset_import: ["" : 18]>
    demo (float[2] x, float[2] w) => (float[2] total, float[3,2] rows)
    <int64 rounds = {3}, bool go = {1}> {
      total, w_out, rows = Loop (rounds, go, x, w) <body: graph = body (int64 i, bool c, float[2] sum, float[2] v)
        => (bool c_out, float[2] sum_out, float[2] v, float[2] row) <float two = {2.0}> {
          c_out = Identity (c)
          e = Exp (v)
          doubled = Mul (e, two)
          f = Cast <to = 1> (i)
          row = Mul (doubled, f)
          sum_out = Add (sum, row)
        }>
    }
    """
    return onnx.parser.parse_model(text)


def test_hoist_and_names_and_weights_change_no_number(tmp_path: Path) -> None:
    model = loop_model()
    x, w = np.array([1, 2], np.float32), np.array([0.5, -1], np.float32)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x, "w": w})
    clean_names(model, {"total": "sum", "rows": "each"})
    hoist_invariants(model)
    bind_weights(model, [("w", "weights/w", w)])
    onnx.checker.check_model(model, full_check=True)
    (loop,) = [n for n in model.graph.node if n.op_type == "Loop"]
    (body,) = subgraphs(loop)
    assert len(loop.input) == 3, "the weight is no longer carried"
    assert {n.op_type for n in body.node} == {"Identity", "Cast", "Mul", "Add"}
    assert [n.op_type for n in body.node].count("Mul") == 1, "exp(w) * 2 moved in front of the loop"
    assert {"Exp", "Mul"} <= {n.op_type for n in model.graph.node}
    assert not body.initializer
    run = onnxruntime.InferenceSession(model.SerializeToString())
    assert [i.name for i in run.get_inputs()] == ["x"]
    for y, z in zip(run.run(["sum", "each"], {"x": x}), expected, strict=True):
        np.testing.assert_array_equal(y, z)


def test_nothing_is_carried_or_recomputed_in_an_exported_loop(tmp_path: Path) -> None:
    compiled(tiny(), jit=False).export(tmp_path / "scan.onnx", "onnx")
    model = onnx.load(tmp_path / "scan.onnx")
    (loop,) = [n for n in model.graph.node if n.op_type == "Loop"]
    (body,) = subgraphs(loop)
    inside = {v.name for v in body.input}
    for node in body.node:
        assert not inside.isdisjoint(reads(node)), f"{node.name} depends on nothing in the loop"
        inside |= set(node.output)
    assert len(loop.input) == 3, "only the round is carried"
    names = [o for n in [*model.graph.node, *body.node] for o in n.output if o]
    assert len(set(names)) == len(names)
    assert {t.name for t in model.graph.initializer if t.name.startswith("weights/")} == {
        f"weights/{layer}/{weight}"
        for layer, weights in {
            "first": ("kernel", "bias"),
            "norm": ("gamma", "beta", "moving_mean", "moving_variance"),
            "second": ("kernel", "bias"),
            "head": ("kernel", "bias"),
        }.items()
        for weight in weights
    }


def test_large_weights_go_into_a_file_beside_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_model, "_EXTERNAL_ABOVE", 100)
    model = tiny()
    program = compiled(model, jit=False)
    program.export(tmp_path / "scan.onnx", "onnx")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scan.onnx", "scan.onnx.data"]
    x = inputs_of(model, 2)
    zeros = np.zeros((1, 4), np.float32)
    assert_close(session(tmp_path / "scan.onnx").run(None, {"x": x, "replacement": zeros}), [program(x)])
    monkeypatch.undo()
    (tmp_path / "scan.onnx").unlink()
    with pytest.raises(fc.ArtifactError, match=r"scan\.onnx\.data"):
        program.export(tmp_path / "scan.onnx", "onnx")
    program.export(tmp_path / "scan.onnx", "onnx", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["scan.onnx"]


class Ranked(keras.layers.Layer):
    """Something ONNX has no op for."""

    def call(self, x: Any) -> Any:
        return tf.raw_ops.Digamma(x=x + 1.5)


def test_an_op_that_onnx_lacks_is_named_with_its_layer(tmp_path: Path) -> None:
    inputs = keras.Input((9, 4))
    x = Ranked(name="strange")(L.Conv1D(2, 3, activation="relu")(inputs))
    program = compiled(keras.Model(inputs, L.Dense(1)(L.Flatten()(x))), jit=False)
    with pytest.raises(fc.UnsupportedError, match="Digamma in layer 'strange'") as caught:
        program.export(tmp_path / "scan.onnx", "onnx")
    assert "savedmodel" in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_model_that_differs_is_not_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bend(model: onnx.ModelProto, weights: Any) -> None:
        bind_weights(model, [(name, new, value * np.float32(1.001)) for name, new, value in weights])

    monkeypatch.setattr(onnx_model, "bind_weights", bend)
    program = compiled(tiny(), jit=False)
    with pytest.raises(fc.VerificationError, match="output 'head'"):
        program.export(tmp_path / "scan.onnx", "onnx", function="reference")
    assert not list(tmp_path.iterdir())


def test_nan_is_not_taken_for_agreement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(model: onnx.ModelProto, weights: Any) -> None:
        bind_weights(model, [(name, new, value * np.float32(np.nan)) for name, new, value in weights])

    monkeypatch.setattr(onnx_model, "bind_weights", lose)
    with pytest.raises(fc.VerificationError, match="error nan"):
        compiled(tiny(), jit=False).export(tmp_path / "scan.onnx", "onnx", function="reference")


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(fc.UnsupportedError, match=r"fastism-compiler\[onnx\]"):
        compiled(tiny(), jit=False).export(tmp_path / "scan.onnx", "onnx", function="reference")


@pytest.mark.parametrize("function", ["scan", "saturate", "reference"])
def test_beyond_the_tolerance_float64_judges(function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deep models round more than a fixed share of their outputs, and it may be the program that rounds most.

    A small copy of Basenji2: 1.2e-5 lay between them, of which ONNX Runtime was to blame for a fifth.
    """
    cases = onnx_check._case

    def round_more(*given: Any) -> Any:
        case = cases(*given)
        return replace(case, expected=[y + 1e-4 * np.abs(y).max() for y in case.expected])

    monkeypatch.setattr(onnx_check, "_case", round_more)
    model = model_named("other_inputs_meet_first")
    compiled(model, jit=False).export(tmp_path / "model.onnx", "onnx", function=function)
    assert (tmp_path / "model.onnx").is_file()


def test_beyond_the_tolerance_and_no_float64_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_check, "_RTOL", 0.0)
    monkeypatch.setattr(onnx_check, "_ATOL", 0.0)
    monkeypatch.setattr(onnx_check, "exact_scores", lambda *_: [])
    with pytest.raises(fc.VerificationError, match="more than rounding"):
        compiled(tiny(), jit=False).export(tmp_path / "scan.onnx", "onnx", function="reference")


class OneCellOff:
    """A session in which one number of one mutant is wrong."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, names: Any, tensors: Any) -> Any:
        first, *rest = self._session.run(names, tensors)
        first.flat[7] += 3e-5 * np.abs(first).max()
        return [first, *rest]


def test_float64_does_not_excuse_a_wrong_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = onnx_check._session
    monkeypatch.setattr(onnx_check, "_session", lambda *given: OneCellOff(opened(*given)))
    with pytest.raises(fc.VerificationError, match="more than rounding"):
        compiled(tiny(), jit=False).export(tmp_path / "scan.onnx", "onnx")


def test_an_optimizer_that_fails_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """tf2onnx's own; the export is compared in ONNX Runtime as ever."""
    calls = []

    def fails(*_: Any) -> None:
        calls.append(os.environ.get("TF2ONNX_CATCH_ERRORS"))
        raise ValueError("an optimizer")

    monkeypatch.setattr("tf2onnx.optimizer.reshape_optimizer.ReshapeOptimizer._optimize", fails)
    monkeypatch.setenv("TF2ONNX_CATCH_ERRORS", "mine")
    compiled(tiny(), jit=False).export(tmp_path / "scan.onnx", "onnx", function="reference")
    assert calls[0] == "FALSE"
    assert set(calls[1:]) == {None}
    assert os.environ["TF2ONNX_CATCH_ERRORS"] == "mine"
