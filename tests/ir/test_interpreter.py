"""The interpreter against Keras: every function, every op of the small models, and whole models."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from fastism_compiler.ir.interpreter import evaluate
from fastism_compiler.ir.interpreter.functions import FUNCTIONS
from fastism_compiler.ir.interpreter.recurrent import CELLS
from fastism_compiler.ir.interpreter.rows import TILE
from fastism_compiler.ir.interpreter.whole import WHOLE
from fastism_compiler.ir.ops import MACRO_OPS, RULES, TILE_OPS
from fastism_compiler.ir.ops.elementwise import UNARY
from fastism_compiler.ir.ops.recurrent import GATES

from fastism_compiler.emit.functions import function_named
from tests.oracle import as_model_takes
from tests.passes.meaning import numbers
from tests.passes.small_graphs import NAMES, context_for, lowered


def test_every_op_is_interpreted() -> None:
    given = {kind for kind, rule in RULES.items() if rule.leaf or rule.opaque}
    assert set(WHOLE) == set(RULES) - TILE_OPS - given
    assert set(TILE) == TILE_OPS
    assert set(WHOLE) >= MACRO_OPS
    assert set(FUNCTIONS) == {*UNARY, "negative", "identity"}
    assert set(CELLS) == set(GATES)


PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "relu": [{}, {"negative_slope": 0.3, "max_value": 1.0, "threshold": 0.5}],
    "leaky_relu": [{}, {"negative_slope": 0.1}],
    "elu": [{}, {"alpha": 0.7}],
    "celu": [{}, {"alpha": 0.7}],
    "gelu": [{"approximate": False}, {"approximate": True}],
    "threshold": [{"threshold": 0.4, "default_value": -2.0}],
    "soft_shrink": [{}, {"threshold": 0.2}],
    "hard_shrink": [{}, {"threshold": 0.2}],
    "squareplus": [{}, {"b": 2.0}],
    "clip": [{"x_min": -0.5, "x_max": 0.8}],
}


@pytest.mark.parametrize("name", sorted(UNARY))
def test_functions_are_those_of_keras(name: str) -> None:
    x = np.concatenate([np.linspace(-4, 4, 33), [-1.0, 0.0, 0.5, 1.0]])
    x = np.abs(x) + 0.1 if name in ("log", "log1p", "sqrt", "rsqrt") else x[x != 0] if name == "reciprocal" else x
    x = x > 0 if name == "logical_not" else x
    for attrs in PARAMETERS.get(name, [{}]):
        expected = function_named(name)(tf.constant(x), **attrs)
        np.testing.assert_allclose(FUNCTIONS[name](x, **attrs), expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_models_mean_what_keras_computes(name: str) -> None:
    """Opaque ops run the model's own layers; weights are the model's."""
    model = lowered(name)
    graph, bindings = model.graph, model.bindings
    drawn = numbers(model, context_for(graph))
    parameters = {key: np.asarray(value) for key, value in bindings.parameters.items()}

    def run(call: Any) -> Any:
        return lambda operands: [np.asarray(y) for y in call([tf.constant(o.astype(_single(o))) for o in operands])]

    values = evaluate(graph, drawn.inputs, parameters, {key: run(call) for key, call in bindings.calls.items()})
    keras_model = model.model
    names = [t.name if len(keras_model.inputs) > 1 else "seq" for t in keras_model.inputs]
    inputs = {key: x.astype(n.type.dtype) for key, n, x in zip(names, graph.inputs, drawn.inputs, strict=True)}
    expected = keras.tree.flatten(keras_model(as_model_takes(keras_model, inputs)))
    for node, output in zip(graph.outputs, expected, strict=True):
        np.testing.assert_allclose(values[node], output, rtol=2e-4, atol=1e-5)


def _single(x: Any) -> str:
    return "float32" if x.dtype.kind == "f" else str(x.dtype)
