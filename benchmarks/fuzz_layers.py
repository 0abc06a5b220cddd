"""How a fuzzer's spec becomes a Keras model. A failure file starts with this module's source, so it stands alone.

A spec is JSON: `{"length": 23, "input": "letters", "nodes": [{"layer": "Conv1D",
"config": {...}, "inputs": [0]}, ...], "heads": ["flat", "gap"]}`. Value 0 is
the sequence (embedded, if it is tokens); node `k` makes value `k + 1`. Joins
crop and project their operands to one shape.
"""

import keras
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
        return FUNCTIONS[node["function"]](operands[0])
    return _combine(node["join"], *operands)


def _with_side(kind, x, inputs):
    """Meet another input: one value per position, or one per sequence."""
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


BLOCKS = {
    "nested": _nested,
    "two_dimensional": _two_dimensional,
    "attention": _attention,
    "channels_first": _channels_first,
    "reverse_complement": _reverse_complement,
    "lstm": lambda x: L.LSTM(3, return_sequences=True)(x),
    "gru": lambda x: L.GRU(3, return_sequences=True, go_backwards=True)(x),
    "bidirectional": lambda x: L.Bidirectional(L.SimpleRNN(2, return_sequences=True))(x),
    "time_distributed": lambda x: L.TimeDistributed(L.Dense(3, activation="tanh"))(x),
    "einsum": lambda x: L.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d")(x),
}

FUNCTIONS = {
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
    "pool_dense": lambda x: L.Dense(2)(L.Flatten()(L.MaxPooling1D(2, padding="same")(x))),
}
