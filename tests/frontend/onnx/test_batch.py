"""Models that were exported with one sequence take any number, in the graph and where ONNX Runtime judges it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

from benchmarks.onnx_nets import Net
from fastism_compiler.emit.reference import Values
from fastism_compiler.frontend.onnx.batch import axis_of_sequences
from fastism_compiler.frontend.registry import read_model

LENGTH = 6


@pytest.mark.parametrize(
    ("before", "shape", "axis"),
    [
        (1, [1, 48], 0),
        (1, [48], 0),
        (20, [20, 1, 3, 8], 1),
        (20, [20, 2, 4], 1),  # heads beside the sequences
        (20, [20, 8], 0),  # positions in front of them, on one axis
        (1, [1, 2, 4, 20], 0),
        (6, [4, 5], None),
    ],
)
def test_where_sequences_belong(before: int, shape: list[int], axis: int | None) -> None:
    assert axis_of_sequences(before, shape) == axis


def heads(net: Net) -> Any:
    """Two heads beside the sequences, then positions in front of them; both on one axis."""
    x = net.add("Transpose", net.x, perm=[2, 0, 1])
    split = net.add("Transpose", net.add("Reshape", x, np.array([LENGTH, 2, 2])), perm=[1, 0, 2])
    weighted = net.add("Softmax", net.add("Reshape", split, np.array([1, 2, LENGTH, 2])), axis=2)
    rows = net.add("Reshape", net.add("Transpose", weighted, perm=[2, 0, 1, 3]), np.array([LENGTH, 4]))
    made = net.add("Reshape", net.add("Gemm", rows, (4, 3)), np.array([LENGTH, 1, 3]))
    return net.add("Transpose", made, perm=[1, 0, 2])


def recurrent(net: Net) -> Any:
    """States to begin with, for one sequence."""
    x = net.add("Transpose", net.x, perm=[2, 0, 1])
    begin = np.zeros((1, 1, 3), "float32")
    states, _ = net.add("GRU", x, (1, 9, 4), (1, 9, 3), None, None, begin, results=2, hidden_size=3)
    return net.add("Reshape", net.add("Transpose", states, perm=[2, 0, 1, 3]), np.array([1, LENGTH, 3]))


@pytest.mark.parametrize("build", [heads, recurrent])
def test_one_sequence_becomes_any_number(build: Any) -> None:
    net = Net(4, LENGTH, batch=1)
    model = net.model(build(net))
    x = np.random.default_rng(0).standard_normal((5, 4, LENGTH)).astype("float32")
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    theirs = np.concatenate([session.run(None, {"x": row[None]})[0] for row in x])
    source = read_model(model)
    given = source.inputs.layout.read(x)
    ours = Values(source.graph, source.bindings, [tf.constant(given)]).run()[source.graph.outputs[0]].numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    np.testing.assert_allclose(source.origin.oracle(8)([given])[0], theirs, atol=1e-6)
