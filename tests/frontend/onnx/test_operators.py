"""Every operator: lowered, and computed on whole sequences, against ONNX's own reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from fastism_compiler.ir import ChangeRanges
from fastism_compiler.passes.base import Context
from fastism_compiler.passes.canonicalize import CanonicalizePass
from fastism_compiler.passes.classify_layers import ClassifyLayersPass
from fastism_compiler.passes.demand import DemandPass
from fastism_compiler.passes.pipeline import Pipeline
from fastism_compiler.passes.propagate_ranges import PropagateRangesPass
from onnx.reference import ReferenceEvaluator

from fastism_compiler.emit.reference import Values
from fastism_compiler.frontend.onnx.operators import OPERATORS
from fastism_compiler.frontend.registry import read_model
from tests.frontend.onnx.operators import CASES, Case, built

ANALYSES = Pipeline((CanonicalizePass(), ClassifyLayersPass(), DemandPass(), PropagateRangesPass()))


def drawn(case: Case) -> Any:
    rng = np.random.default_rng(0)
    if case.dtype == onnx.TensorProto.INT64:
        return rng.integers(0, 5, (3, *case.shape))
    return rng.standard_normal((3, *case.shape)).astype("float32")


def judged(model: Any, x: Any) -> Any:
    """By ONNX Runtime, without what its optimisers get wrong; by ONNX's reference where that is behind."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        return ReferenceEvaluator(model).run(None, {"x": x})
    return session.run(None, {"x": x})


@pytest.mark.parametrize("name", CASES)
def test_an_operator_computes_what_onnx_says(name: str) -> None:
    case = CASES[name]
    model = built(case)
    x = drawn(case)
    expected = judged(model, x)
    source = read_model(model)
    given = source.inputs.layout.read(x) if source.inputs.layout else x
    values = Values(source.graph, source.bindings, [tf.constant(given)]).run()
    for node, theirs in zip(source.graph.outputs, expected, strict=True):
        ours = values[node].numpy()
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
    graph = ANALYSES.run(source.graph, Context(ranges=ChangeRanges.of(None, case.shape[-1])))
    assert graph.outputs[0].has_window == case.window


def test_every_rule_is_tried() -> None:
    tried = {node.op_type for case in CASES.values() for node in built(case).graph.node}
    assert tried >= set(OPERATORS)
