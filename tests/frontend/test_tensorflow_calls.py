"""Layers and functions that call TensorFlow itself: lowered operation by operation, with the same numbers."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.interpreter import evaluate
from fastism_compiler.ir.queries import rule_of

import fastism_compiler as fc
from fastism_compiler.frontend.keras.tensorflow.operations import OPERATIONS
from fastism_compiler.frontend.registry import read_model
from fastism_compiler.models.randomize import randomize
from tests.frontend.test_followed_functions import Of, check, model
from tests.oracle import assert_close, naive_scan
from tests.programs import compile_tiles

L = keras.layers
LENGTH = 24
RNG = np.random.default_rng(0)
KERNEL = tf.constant(RNG.standard_normal((3, 4, 5)), tf.float32)
DEPTHWISE = tf.constant(RNG.standard_normal((1, 3, 4, 1)), tf.float32)
MATRIX = tf.constant(RNG.standard_normal((4, 3)), tf.float32)
MATRIX_VARIABLE, VECTOR_VARIABLE = tf.Variable(MATRIX), tf.Variable(np.ones(4, "float32"))
FOUR = tf.constant([0.5, 1.0, -1.5, 2.0])


def _unary(name: str) -> Callable[[Any], Any]:
    """A function of TensorFlow on numbers inside its domain."""
    function = getattr(tf.raw_ops, name)
    argument = next(iter(function.__signature__.parameters))
    return lambda x: function(**{argument: {"Acosh": 2 + tf.abs(x), "Log": 1 + tf.abs(x)}.get(name, 0.5 + 0.1 * x)})


UNARY = ["Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Abs", "Ceil", "Cos", "Cosh", "Elu", "Erf", "Erfc", "Exp",
         "Expm1", "Floor", "Log", "Log1p", "LogSoftmax", "Neg", "Relu", "Relu6", "Reciprocal", "Round", "Rsqrt",
         "Selu", "Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt", "Square", "Tan",
         "Tanh"]  # fmt: skip

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    **{name: _unary(name) for name in UNARY},
    "arithmetic": lambda x: (x + 1.0) * x - x / 3.0 + tf.maximum(x, 0.1) - tf.minimum(x, FOUR) + x**2.0,
    "of integers": lambda x: tf.cast(tf.cast(3.0 * x, tf.int32) // 2 + tf.cast(3.0 * x, tf.int32) % 2, tf.float32),
    "comparisons": lambda x: tf.where((x > 0.1) & (x <= 1.0) | ~(x < -0.5), x, 0.2 * x),
    "equality": lambda x: tf.cast((tf.round(x) == 0.0) | (tf.round(x) != 1.0) & (x >= 0.0), tf.float32),
    "kinds of numbers": lambda x: tf.where(tf.math.is_finite(x) & ~tf.math.is_nan(x) & ~tf.math.is_inf(x), x, 0.0),
    "gelu": tf.nn.gelu,
    "swish": tf.nn.swish,
    "leaky relu": lambda x: tf.nn.leaky_relu(x, 0.3),
    "bias": lambda x: tf.nn.bias_add(x, FOUR),
    "convolution": lambda x: tf.nn.conv1d(x, KERNEL, 1, "SAME"),
    "strided convolution": lambda x: tf.nn.conv1d(x, KERNEL, 2, "VALID"),
    "dilated convolution": lambda x: tf.nn.convolution(x, KERNEL, padding="SAME", dilations=3),
    "depthwise convolution": lambda x: tf.nn.depthwise_conv2d(x[:, None], DEPTHWISE, [1, 1, 1, 1], "SAME")[:, 0],
    "max pool": lambda x: tf.nn.max_pool1d(x, 2, 2, "SAME"),
    "average pool": lambda x: tf.nn.avg_pool1d(x, 3, 1, "SAME"),
    "matmul": lambda x: tf.matmul(x, MATRIX),
    "transposed matmul": lambda x: tf.matmul(x, tf.transpose(MATRIX), transpose_b=True),
    "tensordot": lambda x: tf.tensordot(x, MATRIX, 1),
    "rows and back": lambda x: tf.reshape(tf.nn.relu(tf.matmul(tf.reshape(x, (-1, 4)), MATRIX) + 0.1), (-1, LENGTH, 3)),
    "einsum": lambda x: tf.einsum("blc,cd->bld", x, MATRIX),
    "slices": lambda x: x[:, 2:-1:2, ::-1] + x[:, :1, ::-1],
    "new axis": lambda x: x[..., tf.newaxis][..., 0] + x[:, None, 3],
    "slice by size": lambda x: tf.slice(x, [0, 2, 1], [-1, 5, 2]),
    "pad": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 0]]),
    "pad with a number": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 1]], constant_values=0.5),
    "reflect": lambda x: tf.pad(x, [[0, 0], [1, 2], [0, 0]], "REFLECT"),
    "concatenate and reverse": lambda x: tf.concat([x, tf.reverse(x, [1])], -1),
    "roll": lambda x: tf.roll(x, 2, 1),
    "attention pool": lambda x: tf.reduce_sum(
        tf.reshape(x, (-1, LENGTH // 2, 2, 4)) * tf.nn.softmax(tf.reshape(x, (-1, LENGTH // 2, 2, 4)), -2), 2
    ),
    "split": lambda x: tf.multiply(*tf.split(x, 2, -1)),
    "split by sizes": lambda x: tf.split(x, [1, 3], -1)[1],
    "stack": lambda x: tf.reduce_max(tf.stack([x, -x], 2), 2),
    "unstack": lambda x: tf.stack(tf.unstack(x, axis=-1)[:2], -1),
    "gather": lambda x: tf.gather(x, [1, 5, 9, 3], axis=1),
    "tile": lambda x: tf.tile(x, [1, 2, 1]),
    "repeat": lambda x: tf.repeat(x, 2, 1),
    "arg max": lambda x: tf.one_hot(tf.argmax(x, -1), 4) + tf.one_hot(tf.argmin(x, -1), 4),
    "top": lambda x: tf.math.top_k(x, 2)[0],
    "log of a sum": lambda x: x - tf.reduce_logsumexp(x, -1, keepdims=True),
    "moments": lambda x: (
        (x - tf.nn.moments(x, [-1], keepdims=True)[0]) * tf.math.rsqrt(tf.math.reduce_std(x, -1, True))
    ),
    "clip": lambda x: tf.raw_ops.ClipByValue(t=x, clip_value_min=-0.1, clip_value_max=0.2),
    "norm": lambda x: tf.nn.l2_normalize(x, -1),
    "squared difference": lambda x: tf.math.squared_difference(x, FOUR),
    "sum of several": lambda x: tf.add_n([x, -2.0 * x, x * x]),
    "transpose": lambda x: tf.transpose(tf.transpose(x, [0, 2, 1]) * 2.0, [0, 2, 1]),
    "truth": lambda x: tf.cast(tf.reduce_any(x > 0.3, -1, True) & ~tf.reduce_all(x > 0.0, -1, True), tf.float32) * x,
    "least and product": lambda x: (
        tf.reduce_min(x, -1, True) + tf.reduce_prod(x, -1, True) + tf.reduce_mean(x, -1, True)
    ),
    "normalisation": lambda x: tf.compat.v1.nn.fused_batch_norm(
        x[:, None], FOUR, FOUR, 0.3 * FOUR, FOUR**2, is_training=False
    )[0][:, 0],
    "a function of a function": tf.function(lambda x: tf.nn.relu(x) * 2.0),
    "a constant for each sequence": lambda x: x + tf.ones([tf.shape(x)[0], 1, 4]),
    "the tail of the error function": lambda x: 1e3 * tf.math.erfc(x + 3.0),
    "weights alone": lambda x: tf.nn.tanh(x) * tf.nn.relu(tf.sqrt(tf.transpose(VECTOR_VARIABLE) + 0.5)),
    "weights scaled to length 1": lambda x: tf.matmul(x, tf.nn.l2_normalize(MATRIX_VARIABLE, 0)),
    "the shape": lambda x: tf.reshape(x, (tf.shape(x)[0], tf.shape(x)[1] // 2, 8)),
}


def lowered(function: Callable[[Any], Any]) -> tuple[Any, Any]:
    """A model of one layer that is this function, and its graph."""
    inputs = L.Input((LENGTH, 4), name="seq")
    made = keras.Model(inputs, Of(function)(inputs))
    return made, read_model(made)


def _in_numpy(call: Callable[[list[Any]], list[Any]]) -> Callable[[list[Any]], list[Any]]:
    """A call of Keras that a graph holds, for the interpreter, which computes in float64."""

    def run(operands: list[Any]) -> list[Any]:
        single = [x.astype("float32") if x.dtype.kind == "f" else x for x in operands]
        return [np.asarray(y) for y in call([tf.constant(x) for x in single])]

    return run


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operations_mean_what_tensorflow_computes(name: str) -> None:
    made, source = lowered(FUNCTIONS[name])
    nodes = source.graph.nodes()
    assert not [n for n in nodes if rule_of(n).layer_class is LayerClass.STOP or n.op == "keras_call"]
    x = np.random.default_rng(1).standard_normal((3, LENGTH, 4)).astype("float32")
    parameters = {key: np.asarray(value) for key, value in source.bindings.parameters.items()}
    calls = {key: _in_numpy(call) for key, call in source.bindings.calls.items()}
    ours = evaluate(source.graph, [x], parameters, calls)
    (value,) = [ours[n] for n in source.graph.outputs]
    np.testing.assert_allclose(value, made(x), rtol=2e-5, atol=2e-6)


def test_every_operation_of_the_table_is_tried() -> None:
    seen = set()
    for function in FUNCTIONS.values():
        graph = tf.function(function, autograph=False).get_concrete_function(tf.TensorSpec((7, LENGTH, 4))).graph
        seen |= {op.type for op in graph.get_operations()}
    written_otherwise = {"Add", "CheckNumerics", "EnsureShape", "PreventGradient", "Snapshot", "StopGradient", "Cumsum"}
    assert set(OPERATIONS) - seen <= written_otherwise


class Layer(L.Layer):
    """TensorFlow in `call`, over variables of both kinds."""

    def __init__(self) -> None:
        super().__init__()
        self.raw = tf.Variable(np.full(4, 2.0, "float32"))

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(3, shape[-1], 4), name="w")
        self.b = self.add_weight(shape=(4,), name="b")

    def call(self, x: Any) -> Any:
        return tf.nn.relu(tf.nn.bias_add(tf.nn.conv1d(x * self.raw, self.w, 1, "SAME"), self.b))


def test_variables_are_read_whenever_the_program_runs() -> None:
    layer = Layer()
    m = model(layer, L.Activation(tf.nn.tanh), L.Conv1D(3, 1, activation=tf.nn.relu))
    program = check(m)
    assert not program.plan.stops
    layer.raw.assign([1.0, 2.0, 3.0, -1.0])
    randomize(m, seed=7)
    check(m, program)
    assert program.verify()


class Subclassed(keras.Model):
    """A model of layers and of TensorFlow."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = L.Conv1D(4, 3, padding="same", dilation_rate=2), L.BatchNormalization()
        self.dense, self.pool = L.Dense(5, activation="relu"), L.MaxPooling1D(2)
        self.last, self.head = L.SeparableConv1D(4, 3), L.Dense(2)

    def call(self, x: Any) -> Any:
        y = self.pool(self.dense(self.norm(tf.nn.gelu(self.first(x)))))
        y = tf.nn.swish(self.last(y))
        return self.head(tf.reshape(y, (tf.shape(y)[0], y.shape[1] * y.shape[2])))


def test_a_subclassed_model_of_layers_and_tensorflow_is_windowed() -> None:
    m = Subclassed()
    x = np.random.default_rng(0).random((2, 12, 4)).astype("float32")
    m(x)
    program = compile_tiles(randomize(m), jit=False, verify=False)
    inputs = L.Input((12, 4), name="seq")
    naive = naive_scan(keras.Model(inputs, m(inputs)), {"seq": x}, [(i, i + 1) for i in range(12)], lambda r: 0)
    assert_close(program(x), naive)
    assert not program.plan.stops


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: tf.abs(tf.signal.rfft(x)), "operation RFFT has no rule"),
        (lambda x: x / tf.cast(tf.shape(x)[0], tf.float32), "depends on the number of sequences"),
        (lambda x: x + tf.random.uniform(tf.shape(x)), "RandomUniform does more than compute"),
        (lambda x: tf.concat([x, tf.zeros([tf.shape(x)[0], 2, 4])], 1), "depends on the number of sequences"),
        (lambda x: tf.nn.bias_add(x, tf.ones(LENGTH), data_format="NC..."), "a TensorFlow bias on another axis"),
        (lambda x: tf.reshape(x, (-1, 2, 4)), "reshape across sequences"),
    ],
)
def test_what_is_not_followed_is_named(function: Callable[[Any], Any], reason: str) -> None:
    _, source = lowered(function)
    assert [n for n in source.graph.nodes() if reason in str(n.attrs.get("why"))]


@pytest.mark.parametrize(
    "function", [lambda x: x - tf.reduce_mean(x, 0, keepdims=True), lambda x: tf.reverse(x, [0]), lambda x: x[:1]]
)
def test_operations_across_sequences_are_refused(function: Callable[[Any], Any]) -> None:
    with pytest.raises(fc.UnsupportedError, match="across sequences"):
        lowered(function)


class Ordered(L.Layer):
    """Results in an order that is not that of their names."""

    def call(self, x: Any) -> Any:
        return OrderedDict(second=tf.nn.relu(x), first=tf.nn.tanh(x))


def test_results_keep_their_order() -> None:
    inputs = L.Input((LENGTH, 4), name="seq")
    results = Ordered()(inputs)
    made = keras.Model(inputs, [results["first"], results["second"]])
    source = read_model(made)
    x = np.random.default_rng(1).standard_normal((3, LENGTH, 4)).astype("float32")
    values = evaluate(source.graph, [x], {}, {})
    for node, expected in zip(source.graph.outputs, made(x), strict=True):
        np.testing.assert_allclose(values[node], expected, rtol=1e-5, atol=1e-6)


def test_half_precision_inside_stays_whole() -> None:
    """Its rounding is the layer's own, and is done by the layer."""

    class Half(L.Layer):
        def call(self, x: Any) -> Any:
            return tf.cast(tf.nn.relu(tf.cast(x, tf.float16)), tf.float32)

    program = check(model(Half()))
    ((_, reason),) = program.plan.stops
    assert "a cast to float16" in reason


def test_a_call_that_changes_a_variable_is_left_to_the_model() -> None:
    last = tf.Variable(np.zeros(4, "float32"))

    def changing(x: Any) -> Any:
        last.assign(tf.reduce_max(x, [0, 1]))
        return x * last

    _, source = lowered(changing)
    assert [n for n in source.graph.nodes() if "changes a variable" in str(n.attrs.get("why"))]
