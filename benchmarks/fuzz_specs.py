"""Random models as plain data: what the fuzzer draws, and how a spec becomes a Keras model.

A spec is JSON: `{"length": 23, "nodes": [{"layer": "Conv1D", "config": {...},
"inputs": [0]}, ...], "heads": ["flat", "gap"]}`. Value 0 is the sequence; node
`k` makes value `k + 1`. Joins crop and project their operands to one shape.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Spec = dict[str, Any]

CHANNELS = 4
HEADS = ("flat", "flat_norm", "gap", "gmp", "positions", "lstm", "sum", "pool_dense")
ACTIVATIONS = ("relu", "tanh", "sigmoid", "elu", "gelu", "softplus", "silu", "softmax", "leaky_relu")
FUNCTIONS = ("square", "abs", "sin", "exp_small", "flip", "double", "shift", "clip")


def _convolution(draw: Any) -> Spec:
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    stride = draw(st.sampled_from([1, 1, 1, 2, 3]))
    return {
        "layer": "Conv1D",
        "config": {
            "filters": 2 * draw(st.integers(1, 3)),
            "kernel_size": draw(st.integers(1, 7)),
            "padding": draw(st.sampled_from(["valid", "same", "same", "causal"])),
            "strides": stride,
            "dilation_rate": 1 if stride > 1 else draw(st.sampled_from([1, 1, 2, 3])),
            "groups": groups,
            "activation": draw(st.sampled_from([None, *ACTIVATIONS])),
        },
    }


def _depthwise(draw: Any) -> Spec:
    size, stride = draw(st.integers(1, 5)), draw(st.sampled_from([1, 1, 2]))
    padding = draw(st.sampled_from(["valid", "same"]))
    if draw(st.booleans()):
        config = {
            "kernel_size": size,
            "padding": padding,
            "strides": stride,
            "depth_multiplier": draw(st.integers(1, 2)),
        }
        return {"layer": "DepthwiseConv1D", "config": config}
    config = {"filters": 4, "kernel_size": size, "padding": padding, "strides": stride}
    return {"layer": "SeparableConv1D", "config": config}


def _transposed(draw: Any) -> Spec:
    return {
        "layer": "Conv1DTranspose",
        "config": {
            "filters": 2,
            "kernel_size": draw(st.integers(1, 5)),
            "strides": draw(st.integers(1, 3)),
            "padding": draw(st.sampled_from(["valid", "same"])),
        },
    }


def _pool(draw: Any) -> Spec:
    return {
        "layer": draw(st.sampled_from(["MaxPooling1D", "AveragePooling1D"])),
        "config": {
            "pool_size": draw(st.integers(1, 5)),
            "strides": draw(st.sampled_from([None, 1, 2, 3, 6])),
            "padding": draw(st.sampled_from(["valid", "same"])),
        },
    }


def _cut(draw: Any) -> Spec:
    sides = (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    if draw(st.booleans()):
        return {"layer": "ZeroPadding1D", "config": {"padding": sides}}
    return {"layer": "Cropping1D", "config": {"cropping": sides}}


def _simple(draw: Any) -> Spec:
    return draw(
        st.sampled_from(
            [
                {"layer": "BatchNormalization", "config": {}},
                {"layer": "LayerNormalization", "config": {}},
                {"layer": "PReLU", "config": {}},
                {"layer": "PReLU", "config": {"shared_axes": [1]}},
                {"layer": "Dropout", "config": {"rate": 0.5}},
                {"layer": "Dense", "config": {"units": 4, "activation": "relu"}},
                {"layer": "UpSampling1D", "config": {"size": 2}},
                {"layer": "GroupNormalization", "config": {"groups": 1}},
                {"layer": "Activation", "config": {"activation": "hard_sigmoid"}},
            ]
        )
    )


def _function(draw: Any) -> Spec:
    return {"function": draw(st.sampled_from(FUNCTIONS)), "config": {}}


def _join(draw: Any) -> Spec:
    kinds = ["Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average", "Concatenate", "concat_positions", "gate"]
    return {"join": draw(st.sampled_from(kinds)), "config": {}}


@st.composite
def specs(draw: Any) -> Spec:
    """Random model specs; small ones first, so that failures shrink."""
    nodes = []
    kinds = [_convolution, _convolution, _convolution, _depthwise, _transposed, _pool, _pool, _cut, _simple, _function]
    for k in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from([*kinds, *([_join, _join, _join] if k else [])]))
        node = kind(draw)
        if "join" in node:
            node["inputs"] = [k, draw(st.integers(0, k))]
        else:
            node["inputs"] = [draw(st.sampled_from([k, k, k, max(k - 1, 0)]))]
        nodes.append(node)
    heads = draw(st.lists(st.sampled_from(HEADS), min_size=1, max_size=2))
    return {"length": draw(st.integers(5, 32)), "nodes": nodes, "heads": heads}


@st.composite
def ranges_for(draw: Any, length: int) -> list[tuple[int, int]]:
    """A few change ranges of any width, edges likely."""
    ranges = []
    for _ in range(draw(st.integers(1, 4))):
        width = draw(st.integers(1, min(8, length)))
        start = draw(st.one_of(st.just(0), st.just(length - width), st.integers(0, length - width)))
        ranges.append((start, start + width))
    return ranges


def build(spec: Spec) -> Any:
    """The Keras model of a spec.

    Raises:
        ValueError: shapes that do not fit; the spec is not a model.
    """
    import keras

    inputs = keras.Input((spec["length"], CHANNELS), name="seq")
    values = [inputs]
    for node in spec["nodes"]:
        operands = [values[i] for i in node["inputs"]]
        values.append(_apply(keras, node, operands))
        if 0 in values[-1].shape[1:] or values[-1].shape[1] > 200:
            raise ValueError("a value of no size, or too long")
    outputs = [_head(keras, name, values[-1]) for name in spec["heads"]]
    return keras.Model(inputs, outputs)


def _apply(keras: Any, node: Spec, operands: list[Any]) -> Any:
    if "layer" in node:
        return getattr(keras.layers, node["layer"])(**node["config"])(operands[0])
    if "function" in node:
        return _call(keras.ops, node["function"], operands[0])
    return _combine(keras, node["join"], *operands)


def _call(ops: Any, name: str, x: Any) -> Any:
    calls = {
        "exp_small": lambda x: ops.exp(0.1 * x),
        "flip": lambda x: x[:, ::-1, :],
        "double": lambda x: 2.0 * x - x / 3.0,
        "shift": lambda x: 0.5 - x,
        "clip": lambda x: ops.clip(x, -0.3, 0.6),
    }
    return calls[name](x) if name in calls else getattr(ops, name)(x)


def _combine(keras: Any, name: str, a: Any, b: Any) -> Any:
    layers = keras.layers
    if name == "gate":
        gate = layers.Dense(a.shape[-1], activation="sigmoid")(layers.GlobalAveragePooling1D(keepdims=True)(b))
        return layers.Multiply()([a, gate])
    if a.shape[-1] != b.shape[-1] and name != "Concatenate":
        b = layers.Dense(a.shape[-1])(b)
    if name == "concat_positions":
        return layers.Concatenate(axis=1)([a, b])
    length = min(a.shape[1], b.shape[1])
    a, b = (layers.Cropping1D((0, x.shape[1] - length))(x) if x.shape[1] > length else x for x in (a, b))
    return getattr(layers, name)()([a, b])


def _head(keras: Any, name: str, x: Any) -> Any:
    layers, ops = keras.layers, keras.ops
    heads = {
        "flat": lambda: layers.Dense(2)(layers.Flatten()(x)),
        "flat_norm": lambda: layers.Dense(2)(layers.BatchNormalization()(layers.Flatten()(x))),
        "gap": lambda: layers.Dense(2)(layers.GlobalAveragePooling1D()(x)),
        "gmp": lambda: layers.GlobalMaxPooling1D()(x),
        "positions": lambda: layers.Conv1D(1, 1)(x),
        "lstm": lambda: layers.LSTM(2)(x),
        "sum": lambda: ops.sum(x, axis=(1, 2), keepdims=True),
        "pool_dense": lambda: layers.Dense(2)(layers.Flatten()(layers.MaxPooling1D(2, padding="same")(x))),
    }
    return heads[name]()
