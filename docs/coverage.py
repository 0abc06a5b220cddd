"""Write the page that says what becomes of every Keras layer and operation.

python -m docs.coverage          # compiles a small model for each, and writes docs/layers.md (minutes)

Each is applied to the output of a convolution, `[B, 24, 8]`, and the plan of the compiled model is read.
"""

from __future__ import annotations

import argparse
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
from keras import layers as L
from keras import ops

import fastism_compiler as fc
from docs.pages import FOLDER

LENGTH, CHANNELS = 24, 8
PAGE = FOLDER / "layers.md"

WINDOWED, AGGREGATED, RESUMED, STOPPED = "windowed", "aggregation", "resumed", "stop"
REFUSED, NOT_APPLICABLE = "refused", "-"
MEANING = {
    WINDOWED: "a change stays in a window, and only the window is computed",
    AGGREGATED: "reads every position, and is updated by what changed",
    RESUMED: "continues from the reference's state just before the change",
    STOPPED: "recomputed whole, and so is what is behind it",
    REFUSED: "cannot be compiled: its result is random, or depends on other sequences or on the values for its shape",
    NOT_APPLICABLE: "does not run on the input tried here, or returns no tensor of known shape per sequence",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of one layer or operation.

    Attributes:
        kind: one of `MEANING`.
        why: the reason of a stop or refusal.
    """

    kind: str
    why: str = ""


Tried = Callable[[Any], Any]


def _weights(*shape: int) -> Any:
    return np.cos(np.arange(np.prod(shape))).reshape(shape).astype("float32")


def _images(layer: Any) -> Tried:
    """Calls a 2D layer on positions along one axis; the other has size 1."""
    return lambda x: layer(ops.reshape(x, (-1, LENGTH, 1, CHANNELS)))


LAYERS: Mapping[str, Tried] = {
    **{name: (lambda x, n=name: getattr(L, n)()([x, x])) for name in (
        "Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract", "Attention", "AdditiveAttention",
    )},
    "Activation": lambda x: L.Activation("tanh")(x),
    "AdaptiveAveragePooling1D": lambda x: L.AdaptiveAveragePooling1D(6)(x),
    "AdaptiveMaxPooling1D": lambda x: L.AdaptiveMaxPooling1D(6)(x),
    "Bidirectional": lambda x: L.Bidirectional(L.LSTM(3))(x),
    "Conv1D": lambda x: L.Conv1D(4, 3)(x),
    "Conv1DTranspose": lambda x: L.Conv1DTranspose(4, 3)(x),
    "Conv2D": _images(L.Conv2D(4, (3, 1))),
    "Conv2DTranspose": _images(L.Conv2DTranspose(4, (3, 1))),
    "ConvLSTM1D": lambda x: L.ConvLSTM1D(2, 3)(ops.expand_dims(x, 2)),
    "Cropping1D": lambda x: L.Cropping1D(2)(x),
    "Cropping2D": _images(L.Cropping2D((2, 0))),
    "Dense": lambda x: L.Dense(4)(x),
    "DepthwiseConv1D": lambda x: L.DepthwiseConv1D(3)(x),
    "DepthwiseConv2D": _images(L.DepthwiseConv2D((3, 1))),
    "Discretization": lambda x: L.Discretization([0.0, 0.5])(x),
    "Dot": lambda x: L.Dot(2)([x, x]),
    "EinsumDense": lambda x: L.EinsumDense("blc,cd->bld", (LENGTH, 4))(x),
    "GRU": lambda x: L.GRU(3)(x),
    "GlobalAveragePooling2D": _images(L.GlobalAveragePooling2D()),
    "GlobalMaxPooling2D": _images(L.GlobalMaxPooling2D()),
    "AveragePooling1D": lambda x: L.AveragePooling1D(2)(x),
    "AveragePooling2D": _images(L.AveragePooling2D((2, 1))),
    "MaxPooling2D": _images(L.MaxPooling2D((2, 1))),
    "GroupNormalization": lambda x: L.GroupNormalization(4)(x),
    "GroupQueryAttention": lambda x: L.GroupQueryAttention(4, 2, 1)(x, x),
    "LSTM": lambda x: L.LSTM(3)(x),
    "Lambda": lambda x: L.Lambda(lambda v: ops.tanh(v))(x),
    "MultiHeadAttention": lambda x: L.MultiHeadAttention(2, 2)(x, x),
    "Normalization": lambda x: L.Normalization(mean=0.1, variance=2.0)(x),
    "Permute": lambda x: L.Permute((2, 1))(x),
    "Pipeline": lambda x: L.Pipeline([L.Rescaling(2.0)])(x),
    "RNN": lambda x: L.RNN(L.LSTMCell(3))(x),
    "RepeatVector": lambda x: L.RepeatVector(3)(L.Flatten()(x)),
    "Rescaling": lambda x: L.Rescaling(2.0)(x),
    "Reshape": lambda x: L.Reshape((LENGTH // 2, 2 * CHANNELS))(x),
    "SeparableConv1D": lambda x: L.SeparableConv1D(4, 3)(x),
    "SeparableConv2D": _images(L.SeparableConv2D(4, (3, 1))),
    "SimpleRNN": lambda x: L.SimpleRNN(3)(x),
    "SpatialDropout2D": _images(L.SpatialDropout2D(0.2)),
    "SpectralNormalization": lambda x: L.SpectralNormalization(L.Conv1D(4, 3))(x),
    "TimeDistributed": lambda x: L.TimeDistributed(L.Dense(3))(x),
    "UpSampling2D": _images(L.UpSampling2D((2, 1))),
    "ZeroPadding2D": _images(L.ZeroPadding2D((1, 0))),
    **{name: (lambda x, n=name: getattr(L, n)(0.2)(x)) for name in (
        "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D",
    )},
}  # fmt: skip
"""Layers that need arguments; the others are tried without."""

ON_TOKENS = {
    "Embedding": lambda t: L.Embedding(6, 4)(t),
    "ReversibleEmbedding": lambda t: L.ReversibleEmbedding(6, 4)(t),
    "CategoryEncoding": lambda t: L.CategoryEncoding(6, output_mode="one_hot")(t),
}
"""Layers that read integer tokens, the model's own input."""

OPERATIONS: Mapping[str, Tried] = {
    "adaptive_average_pool": lambda x: ops.adaptive_average_pool(x, (6,), data_format="channels_last"),
    "adaptive_max_pool": lambda x: ops.adaptive_max_pool(x, (6,), data_format="channels_last"),
    "append": lambda x: ops.append(x, x, axis=1),
    "argpartition": lambda x: ops.argpartition(x, 2, axis=-1),
    "average_pool": lambda x: ops.average_pool(x, 2),
    "batch_normalization": lambda x: ops.batch_normalization(x, _weights(CHANNELS), 1 + _weights(CHANNELS) ** 2, -1),
    "broadcast_to": lambda x: ops.broadcast_to(x[:, :, None], (ops.shape(x)[0], LENGTH, 2, CHANNELS)),
    "cast": lambda x: ops.cast(x, "int32"),
    "clip": lambda x: ops.clip(x, -0.5, 0.5),
    "concatenate": lambda x: ops.concatenate([x, x], axis=1),
    "conv": lambda x: ops.conv(x, _weights(3, CHANNELS, 4)),
    "conv_transpose": lambda x: ops.conv_transpose(x, _weights(3, 4, CHANNELS), 1),
    "correlate": lambda x: ops.correlate(x[:, 0], x[:, 1]),
    "cumprod": lambda x: ops.cumprod(x, axis=1),
    "cumsum": lambda x: ops.cumsum(x, axis=1),
    "depthwise_conv": lambda x: ops.depthwise_conv(x, _weights(3, CHANNELS, 1)),
    "diff": lambda x: ops.diff(x, axis=1),
    "digitize": lambda x: ops.digitize(x, np.array([0.0, 0.5])),
    "dot": lambda x: ops.dot(x, _weights(CHANNELS, 3)),
    "dot_product_attention": lambda x: ops.dot_product_attention(x[:, :, None], x[:, :, None], x[:, :, None]),
    "einsum": lambda x: ops.einsum("blc,cd->bld", x, _weights(CHANNELS, 3)),
    "expand_dims": lambda x: ops.expand_dims(x, 2),
    "flip": lambda x: ops.flip(x, 1),
    "gelu": ops.gelu,
    "get_item": lambda x: x[:, 2:-2],
    "glu": lambda x: ops.glu(x),
    "isin": lambda x: ops.isin(x, np.array([0.0])),
    "layer_normalization": lambda x: ops.layer_normalization(x),
    "ldexp": lambda x: ops.ldexp(x, 2),
    "matmul": lambda x: ops.matmul(x, _weights(CHANNELS, 3)),
    "max_pool": lambda x: ops.max_pool(x, 2),
    "moments": lambda x: ops.moments(x, axes=[-1], keepdims=True)[0],
    "moveaxis": lambda x: ops.moveaxis(x, 1, 2),
    "multi_hot": lambda x: ops.multi_hot(ops.cast(x, "int32"), 5),
    "norm": lambda x: ops.norm(x, axis=-1),
    "one_hot": lambda x: ops.one_hot(ops.cast(x, "int32"), 5),
    "pad": lambda x: ops.pad(x, [[0, 0], [1, 1], [0, 0]]),
    "percentile": lambda x: ops.percentile(x, 30.0, axis=-1),
    "quantile": lambda x: ops.quantile(x, 0.3, axis=-1),
    "rearrange": lambda x: ops.rearrange(x, "b (l p) c -> b l p c", p=2),
    "repeat": lambda x: ops.repeat(x, 2, axis=1),
    "reshape": lambda x: ops.reshape(x, (-1, LENGTH // 2, 2 * CHANNELS)),
    "rms_normalization": lambda x: ops.rms_normalization(x),
    "roll": lambda x: ops.roll(x, 2, axis=1),
    "saturate_cast": lambda x: ops.saturate_cast(x, "int32"),
    "select": lambda x: ops.select([x > 0.5, x > 0.0], [x, 2 * x], 0.0),
    "separable_conv": lambda x: ops.separable_conv(x, _weights(3, CHANNELS, 1), _weights(1, CHANNELS, 3)),
    "split": lambda x: ops.split(x, 2, axis=-1)[1],
    "array_split": lambda x: ops.array_split(x, 2, axis=-1)[1],
    "squeeze": lambda x: ops.squeeze(x[:, :, :1], axis=2),
    "stack": lambda x: ops.stack([x, x], axis=2),
    "swapaxes": lambda x: ops.swapaxes(x, 1, 2),
    "take": lambda x: ops.take(x, [1, 5, 3], axis=1),
    "take_along_axis": lambda x: ops.take_along_axis(x, ops.argsort(x, axis=-1), axis=-1),
    "tensordot": lambda x: ops.tensordot(x, _weights(CHANNELS, 3), axes=1),
    "threshold": lambda x: ops.threshold(x, 0.1, 0.0),
    "tile": lambda x: ops.tile(x, (1, 2, 1)),
    "top_k": lambda x: ops.top_k(x, 2)[0],
    "transpose": lambda x: ops.transpose(x, (0, 2, 1)),
    "unstack": lambda x: ops.unstack(x, axis=-1)[0],
    "where": lambda x: ops.where(x > 0, x, 0.1 * x),
    **{name: (lambda x, n=name: getattr(ops, n)(ops.cast(4 * x, "int32"), ops.cast(2 + x, "int32"))) for name in (
        "bitwise_and", "bitwise_left_shift", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "left_shift",
        "right_shift", "gcd", "lcm",
    )},
    **{name: (lambda x, n=name: getattr(ops, n)(ops.cast(4 * x, "int32"))) for name in (
        "bitwise_invert", "bitwise_not",
    )},
    **{name: (lambda x, n=name: getattr(ops, n)(x > 0)) for name in ("logical_not",)},
    **{name: (lambda x, n=name: getattr(ops, n)(x > 0, x < 1)) for name in (
        "logical_and", "logical_or", "logical_xor",
    )},
    **{name: (lambda x, n=name: getattr(ops, n)(x, axis=-1)) for name in (
        "all", "amax", "amin", "any", "argmax", "argmin", "argsort", "average", "count_nonzero", "log_softmax",
        "logsumexp", "max", "mean", "median", "min", "nanargmax", "nanargmin", "nancumprod", "nancumsum", "nanmax",
        "nanmean", "nanmedian", "nanmin", "nanprod", "nanstd", "nansum", "nanvar", "normalize", "prod", "ptp",
        "softmax", "sort", "sparsemax", "std", "sum", "var", "trapezoid",
    )},
}  # fmt: skip
"""Operations that need arguments; the others are tried on one tensor, then on two."""


def names_of_layers() -> list[str]:
    """The public layers of the installed Keras, without other names of the same class and classes to build on."""
    found: dict[Any, str] = {}
    for name in dir(L):
        kind = getattr(L, name)
        if inspect.isclass(kind) and issubclass(kind, L.Layer) and name == kind.__name__:
            found[kind] = name
    return sorted(set(found.values()) - {"Layer", "Wrapper", "InputLayer"})


def names_of_operations() -> list[str]:
    """The public operations of the installed Keras."""
    return sorted(n for n in dir(ops) if callable(getattr(ops, n)) and not n.startswith("_"))


def outcome(function: Tried, *, tokens: bool = False) -> Outcome:
    """What becomes of a function applied to a convolution's output, or to the tokens themselves."""
    inputs = keras.Input((LENGTH,), dtype="int32") if tokens else keras.Input((LENGTH, 4))
    x = inputs if tokens else L.Conv1D(CHANNELS, 3, padding="same")(inputs)
    try:
        results = [y for y in keras.tree.flatten(function(x)) if isinstance(y, keras.KerasTensor)]
        results = [y for y in results if len(y.shape) > 1 and y.shape[0] is None and None not in y.shape[1:]]
        model = keras.Model(inputs, [_as_numbers(y) for y in results]) if results else None
        if model is not None:
            model.predict_on_batch(np.zeros((2, *inputs.shape[1:]), inputs.dtype))
    except Exception:  # whatever Keras raises for arguments that an operation does not take
        model = None
    if model is None:
        return Outcome(NOT_APPLICABLE)
    passes = fc.default_pipeline().remove("choose-program")
    try:
        program = fc.compile(model, verify=False, jit=False, pipeline=passes)
    except fc.FastISMError as error:
        return Outcome(REFUSED, str(error).splitlines()[0])
    plan = program.plan
    if plan.stops:
        return Outcome(STOPPED, plan.stops[0][1])
    if plan.resumes:
        return Outcome(RESUMED)
    classes = {layer.layer_class for layer in plan.layers[1:]}
    return Outcome(AGGREGATED if "aggregation" in classes else WINDOWED)


def _as_numbers(y: Any) -> Any:
    return y if "float" in str(y.dtype) else ops.cast(y, "float32")


def layer_outcome(name: str) -> Outcome:
    """What becomes of one layer."""
    if name in ON_TOKENS:
        return outcome(ON_TOKENS[name], tokens=True)
    return outcome(LAYERS.get(name, lambda x: getattr(L, name)()(x)))


def operation_outcome(name: str) -> Outcome:
    """What becomes of one operation."""
    if name in OPERATIONS:
        return outcome(OPERATIONS[name])
    function = getattr(ops, name)
    found = outcome(function)
    return found if found.kind != NOT_APPLICABLE else outcome(lambda x: function(x, x))


def page() -> str:
    """The page."""
    layers = {name: layer_outcome(name) for name in names_of_layers()}
    operations = {name: operation_outcome(name) for name in names_of_operations()}
    return "\n".join(
        [
            "# Layers and operations",
            "",
            f"What becomes of each layer and operation of Keras {keras.__version__}, applied to the output of a "
            "convolution. This page is written by `python -m docs.coverage`, which compiles a small model for each.",
            "",
            "| class | meaning |",
            "|---|---|",
            *(f"| {kind} | {meaning} |" for kind, meaning in MEANING.items()),
            "",
            "Axes matter: along channels, norms, softmax, sorting and sums are windowed; along positions, sums, means, "
            "maxima and softmax-weighted sums are aggregations, and what puts them back beside the positions ends the "
            "windows, since every position then depends on all others.",
            "",
            "## Layers",
            "",
            *_table(layers),
            "",
            "## Operations",
            "",
            *_table(operations),
            "",
        ]
    )


def _table(outcomes: Mapping[str, Outcome]) -> list[str]:
    """One row for each class and reason."""
    groups: dict[tuple[int, str, str], list[str]] = {}
    for name, found in outcomes.items():
        key = (list(MEANING).index(found.kind), found.kind, found.why.replace("|", "\\|"))
        groups.setdefault(key, []).append(name)
    rows = [(kind, ", ".join(f"`{n}`" for n in names), why) for (_, kind, why), names in sorted(groups.items())]
    return ["| class | names | why |", "|---|---|---|", *(f"| {kind} | {names} | {why} |" for kind, names, why in rows)]


def classes_of(text: str, section: str) -> dict[str, str]:
    """Names and classes in a section of the page."""
    rows = text.split(f"## {section}\n")[1].split("\n## ", maxsplit=1)[0].splitlines()[3:]
    cells = [row.split(" | ") for row in rows if row.startswith("| ")]
    return {name.strip("`"): kind.strip("| ") for kind, names, *_ in cells for name in names.split(", ")}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", nargs="?", type=Path, default=PAGE)
    parser.parse_args().path.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
