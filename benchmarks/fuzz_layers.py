"""How a fuzzer's spec becomes a Keras model. A failure file starts with this module's source, so it stands alone.

A spec is JSON: `{"length": 23, "input": "letters", "nodes": [{"layer": "Conv1D",
"config": {...}, "inputs": [0]}, ...], "heads": ["flat", "gap"]}`. Value 0 is
the sequence (embedded, if it is tokens); node `k` makes value `k + 1`. Joins
crop and project their operands to one shape.
"""

import keras
import numpy as np
from keras import layers as L
from keras import ops

CHANNELS, TOKENS, SIDE = 4, 5, 2


def build(spec):
    """The Keras model of a spec; ValueError if shapes do not fit, and the spec is no model."""
    inputs = {"seq": _sequence(spec)}
    made = []
    values = [_letters(spec, inputs["seq"])]
    for node in spec["nodes"]:
        operands = [values[i] for i in node["inputs"]]
        values.append(_apply(node, operands, made, inputs))
        if len(values[-1].shape) != 3 or 0 in values[-1].shape[1:] or values[-1].shape[1] > 200:
            raise ValueError("a value of no size, or too long")
    outputs = [HEADS[name](values[-1]) for name in spec["heads"]]
    return keras.Model(inputs if len(inputs) > 1 else inputs["seq"], outputs)


def _sequence(spec):
    if spec.get("input", "letters") == "tokens":
        return L.Input((spec["length"],), dtype="int32", name="seq")
    return L.Input((spec["length"], CHANNELS), name="seq")


def _letters(spec, x):
    return L.Embedding(TOKENS, CHANNELS)(x) if spec.get("input") == "tokens" else x


def _apply(node, operands, made, inputs):
    """One node; `made` holds the layers so far, for those that are called again."""
    if "layer" in node:
        layer = getattr(L, node["layer"])(**node["config"])
        made.append(layer)
        return layer(operands[0])
    if "again" in node:
        if not made:
            raise ValueError("no layer to call again")
        return made[node["again"] % len(made)](operands[0])
    if "block" in node:
        return BLOCKS[node["block"]](operands[0])
    if "side" in node:
        return _with_side(node["side"], operands[0], inputs)
    if "function" in node:
        return {**FUNCTIONS, **SPECIAL}[node["function"]](operands[0])
    return _combine(node["join"], *operands)


def _with_side(kind, x, inputs):
    """Combine with another input: `SIDE` numbers per position, or per sequence."""
    name = f"{kind}_{len(inputs)}"
    if kind == "positions":
        inputs[name] = L.Input((x.shape[1], SIDE), name=name)
        return L.Concatenate()([x, inputs[name]])
    inputs[name] = L.Input((SIDE,), name=name)
    return L.Multiply()([x, L.Reshape((1, x.shape[-1]))(L.Dense(x.shape[-1], activation="sigmoid")(inputs[name]))])


def _combine(name, a, b):
    if name == "gate":
        gate = L.Dense(a.shape[-1], activation="sigmoid")(L.GlobalAveragePooling1D(keepdims=True)(b))
        return L.Multiply()([a, gate])
    if a.shape[-1] != b.shape[-1] and name != "Concatenate":
        b = L.Dense(a.shape[-1])(b)
    if name == "concat_positions":
        return L.Concatenate(axis=1)([a, b])
    if name == "attend":
        return L.MultiHeadAttention(1, 2)(a, b)
    length = min(a.shape[1], b.shape[1])
    a, b = (L.Cropping1D((0, x.shape[1] - length))(x) if x.shape[1] > length else x for x in (a, b))
    return getattr(L, name)()([a, b])


def _nested(x):
    inner = keras.Sequential([L.Conv1D(4, 3, padding="same", activation="relu"), L.MaxPooling1D(2, padding="same")])
    return inner(x)


def _two_dimensional(x):
    length, channels = x.shape[1:]
    y = L.Conv2D(4, (3, 1), padding="same", activation="relu")(L.Reshape((length, 1, channels))(x))
    y = L.MaxPooling2D((2, 1), padding="same")(y)
    return L.Reshape((y.shape[1], 4))(y)


def _attention(x):
    y = L.LayerNormalization()(x)
    return L.Add()([x, L.MultiHeadAttention(2, 2)(y, y)])


def _channels_first(x):
    return L.Permute((2, 1))(L.BatchNormalization(axis=1)(L.Permute((2, 1))(x)))


def _reverse_complement(x):
    layer = L.Conv1D(4, 4, padding="same", activation="relu")
    return L.Average()([layer(x), layer(x[:, ::-1, ::-1])[:, ::-1]])


def _weights(*shape):
    """A constant that is not the same everywhere."""
    return np.cos(np.arange(np.prod(shape))).reshape(shape).astype("float32")


def _halves(x):
    """Two halves of the channels, or the same twice where their number is odd."""
    return ops.split(x, 2, axis=-1) if x.shape[-1] % 2 == 0 else (x, x)


def _gated(x):
    a, b = _halves(x)
    return a * ops.sigmoid(b)


def _shifted(x):
    p = ops.pad(x, [[0, 0], [1, 1], [0, 0]])
    return ops.concatenate([p[:, :-2], p[:, 2:]], axis=-1)


def _attention_pool(x):
    """A weighted mean of each pair of positions."""
    pairs = ops.reshape(x[:, : x.shape[1] // 2 * 2], (-1, x.shape[1] // 2, 2, x.shape[2]))
    scores = ops.matmul(pairs, ops.convert_to_tensor(_weights(x.shape[2], x.shape[2]), pairs.dtype))
    return ops.sum(pairs * ops.softmax(scores, axis=-2), axis=-2)


def _standardised(x):
    mean, variance = ops.moments(x, axes=[-1], keepdims=True)
    return (x - mean) * ops.rsqrt(variance + 0.1)


def _convolved(x):
    kernel = ops.convert_to_tensor(_weights(3, x.shape[-1], 4), x.dtype)
    return ops.relu(ops.conv(x, kernel, strides=2, padding="same"))


def _contracted(x):
    return ops.einsum("blc,cd->bld", x, ops.convert_to_tensor(_weights(x.shape[-1], 3), x.dtype))


def _largest_letter(x):
    return ops.one_hot(ops.argmax(x, axis=-1), x.shape[-1], dtype=x.dtype)


def _activated(x):
    """Functions where layers take the name of an activation."""
    y = L.Conv1D(4, 3, padding="same", activation=lambda v: v * ops.sigmoid(1.7 * v))(x)
    return L.Activation(lambda v: ops.where(v > 0, v, 0.1 * v))(y)


class Custom(L.Layer):
    """A layer of a user, in operations of Keras, with a weight."""

    def build(self, shape):
        self.w = self.add_weight(shape=(shape[-1], 3), name="w")

    def call(self, x):
        return ops.tanh(ops.matmul(x, self.w)) + ops.mean(x, axis=-1, keepdims=True)


class TensorFlowInside(L.Layer):
    """A layer of a user that calls TensorFlow itself."""

    def build(self, shape):
        self.w = self.add_weight(shape=(3, shape[-1], 4), name="w")

    def call(self, x):
        import tensorflow as tf

        y = tf.nn.conv1d(x, tf.cast(self.w, x.dtype), stride=1, padding="SAME")
        return tf.nn.relu(y) * tf.math.sigmoid(tf.reduce_max(y, axis=-1, keepdims=True))


BLOCKS = {
    "nested": _nested,
    "two_dimensional": _two_dimensional,
    "attention": _attention,
    "channels_first": _channels_first,
    "reverse_complement": _reverse_complement,
    "activated": _activated,
    "custom": lambda x: Custom()(x),
    "tensorflow_inside": lambda x: TensorFlowInside()(x),
    "lambda": lambda x: L.Lambda(lambda v: ops.tanh(v) * 2)(x),
    "lstm": lambda x: L.LSTM(3, return_sequences=True)(x),
    "gru": lambda x: L.GRU(3, return_sequences=True, go_backwards=True)(x),
    "bidirectional": lambda x: L.Bidirectional(L.SimpleRNN(2, return_sequences=True))(x),
    "time_distributed": lambda x: L.TimeDistributed(L.Dense(3, activation="tanh"))(x),
    "einsum": lambda x: L.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d")(x),
}

FUNCTIONS = {
    "gated": _gated,
    "shifted": _shifted,
    "attention_pool": _attention_pool,
    "standardised": _standardised,
    "convolved": _convolved,
    "contracted": _contracted,
    "largest_letter": _largest_letter,
    "reflected": lambda x: ops.pad(x, [[0, 0], [2, 1], [0, 0]], mode="reflect"),
    "rolled": lambda x: ops.roll(x, 2, axis=1),
    "taken": lambda x: ops.take(x, [0, x.shape[1] // 2, x.shape[1] - 1, 0], axis=1),
    "strided": lambda x: x[:, 1::2],
    "repeated": lambda x: ops.repeat(x, 2, axis=1),
    "tiled": lambda x: ops.tile(x, (1, 2, 1)),
    "cumulated": lambda x: ops.cumsum(x, axis=1),
    "sorted": lambda x: ops.sort(x, axis=-1),
    "two_largest": lambda x: ops.top_k(x, min(2, x.shape[-1]))[0],
    "compared": lambda x: ops.cast(x > 0.2, x.dtype),
    "stacked": lambda x: ops.max(ops.stack(_halves(x), axis=2), axis=2),
    "unstacked": lambda x: ops.unstack(x, axis=-1)[0][..., None] - x,
    "of_length_one": lambda x: x / (ops.norm(x, axis=-1, keepdims=True) + 0.5),
    "moved": lambda x: ops.moveaxis(ops.moveaxis(x, 1, 2) * 2.0, 2, 1),
    "pooled_op": lambda x: ops.average_pool(x, 2, 1, padding="same"),
    "max_pooled_op": lambda x: ops.max_pool(x, 3, 2, padding="same"),
    "weighted_sum": lambda x: x + ops.sum(x * ops.softmax(x[..., :1], axis=1), axis=1, keepdims=True),
    "spread": lambda x: x - ops.var(x, axis=-1, keepdims=True),
    "square": ops.square,
    "abs": ops.abs,
    "sin": ops.sin,
    "exp_small": lambda x: ops.exp(0.1 * x),
    "flip": lambda x: x[:, ::-1, :],
    "double": lambda x: 2.0 * x - x / 3.0,
    "shift": lambda x: 0.5 - x,
    "clip": lambda x: ops.clip(x, -0.3, 0.6),
    "log_softmax": lambda x: ops.log_softmax(x, axis=-1),
    "first_channels": lambda x: x[:, :, : max(x.shape[2] // 2, 1)],
    "middle": lambda x: x[:, x.shape[1] // 3 : -(x.shape[1] // 3) or None],
    "scaled_by_sum": lambda x: x * ops.sigmoid(ops.logsumexp(x, axis=1, keepdims=True)),
    "softmax_positions": lambda x: ops.softmax(x, axis=1) * x.shape[1],
}

SPECIAL = {
    "share": lambda x: x / ops.sum(x, axis=-1, keepdims=True),
    "logarithm": lambda x: x + ops.log(ops.sum(x, axis=-1, keepdims=True)),
    "root": lambda x: x * ops.sqrt(ops.sum(x, axis=-1, keepdims=True) - 1),
    "overflow": lambda x: x * ops.exp(2000 * (ops.sum(x, axis=-1, keepdims=True) - 1)),
}
"""Finite for one-hot letters; NaN or infinite for some other rows, such as zeros."""

HEADS = {
    "flat": lambda x: L.Dense(2)(L.Flatten()(x)),
    "flat_norm": lambda x: L.Dense(2)(L.BatchNormalization()(L.Flatten()(x))),
    "gap": lambda x: L.Dense(2)(L.GlobalAveragePooling1D()(x)),
    "gmp": lambda x: L.GlobalMaxPooling1D()(x),
    "positions": lambda x: L.Conv1D(1, 1)(x),
    "lstm": lambda x: L.LSTM(2)(x),
    "gru_back": lambda x: L.Bidirectional(L.GRU(2, reset_after=False))(x),
    "sum": lambda x: ops.sum(x, axis=(1, 2), keepdims=True),
    "logsumexp": lambda x: ops.logsumexp(x, axis=1),
    "lowest": lambda x: ops.min(x, axis=(1, 2)),
    "one_position": lambda x: x[:, x.shape[1] // 2],
    "shares": lambda x: L.Dense(2)(L.Flatten()(ops.softmax(ops.tanh(x), axis=1))),
    "pool_dense": lambda x: L.Dense(2)(L.Flatten()(L.MaxPooling1D(2, padding="same")(x))),
}
