"""Weights of an ONNX model are variables of a program: as constants, XLA copies them several times to compile it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import fastism_compiler as fc
from tests.oracle import assert_close
from tests.programs import compile_tiles

KERNEL = np.random.default_rng(0).normal(size=(64, 4, 17)).astype(np.float32)
DENSE = np.random.default_rng(1).normal(size=(64 * 24, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def proto() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["windows"]),
        helper.make_node("Relu", ["windows"], ["active"]),
        helper.make_node("Flatten", ["active"], ["flat"]),
        helper.make_node("MatMul", ["flat", "dense"], ["y"]),
    ]
    takes = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("n", 4, 40))]
    returns = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 3))]
    weights = [numpy_helper.from_array(KERNEL, "kernel"), numpy_helper.from_array(DENSE, "dense")]
    graph = helper.make_graph(nodes, "large", takes, returns, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def test_no_trace_holds_a_weight(proto: onnx.ModelProto) -> None:
    program = compile_tiles(proto, jit=False)
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(2).integers(0, 4, (2, 40))].transpose(0, 2, 1)
    assert program.verify(x)
    program(x)
    traces = [function.concrete for engine in program.engines for function in engine.functions]
    constants = [op for trace in traces for op in trace.graph.get_operations() if op.type == "Const"]
    assert traces and constants
    assert max(op.outputs[0].shape.num_elements() for op in constants) < KERNEL.size
    assert {KERNEL.size, DENSE.size} <= {v.shape.num_elements() for trace in traces for v in trace.variables}


def test_several_devices_have_copies(proto: onnx.ModelProto) -> None:
    """A variable lives on one device."""
    program = fc.compile(proto, jit=False, devices=["CPU:0"], verify=False)
    assert not program.engines[0].source.bindings.held


@pytest.mark.parametrize("kind", ["onnx", "savedmodel"])
def test_exported_programs_hold_them(kind: str, proto: onnx.ModelProto, tmp_path: Path) -> None:
    program = compile_tiles(proto, jit=False, verify=False)
    x = np.eye(4, dtype=np.float32)[np.random.default_rng(3).integers(0, 4, (2, 40))].transpose(0, 2, 1)
    path = tmp_path / ("scan.onnx" if kind == "onnx" else "program")
    program.export(path, kind)  # an ONNX model is compared in ONNX Runtime before it is handed over
    if kind == "savedmodel":
        assert_close([fc.load(path)(x)], [program(x)])
    else:
        held = {int(np.prod(t.dims)) for t in onnx.load(path).graph.initializer}
        assert {KERNEL.size, DENSE.size} <= held
