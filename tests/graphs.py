"""Small models that cover what real ones are made of: `GRAPHS[name]() -> keras.Model`.

The sequence is always the input called "seq" (or the only one).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

L = keras.layers
ops = keras.ops

GRAPHS: dict[str, Callable[[], Any]] = {}


def graph(build: Callable[[], Any]) -> Callable[[], Any]:
    GRAPHS[build.__name__] = build
    return build


def seq(length: int = 23, channels: int = 4) -> Any:
    return L.Input((length, channels), name="seq")


def dense_head(x: Any, units: int = 3) -> Any:
    return L.Dense(units)(L.Flatten()(x))


def _conv(name: str, length: int = 23, **options: Any) -> None:
    def build() -> Any:
        x = inputs = seq(length)
        x = L.Conv1D(6, options.get("kernel_size", 4), **{k: v for k, v in options.items() if k != "kernel_size"})(x)
        x = L.Conv1D(5, 3, activation="relu")(L.ReLU()(x))
        return keras.Model(inputs, dense_head(x))

    GRAPHS[name] = build


_conv("conv_valid")
_conv("conv_same_even", padding="same")
_conv("conv_causal", padding="causal")
_conv("conv_causal_dilated", padding="causal", dilation_rate=3)
_conv("conv_same_dilated", padding="same", dilation_rate=2)
_conv("conv_valid_strided", strides=2)
_conv("conv_same_strided", padding="same", strides=3, kernel_size=5)
_conv("conv_stride_over_kernel", strides=3, kernel_size=2)
_conv("conv_grouped", padding="same", groups=2)
_conv("conv_grouped_strided", padding="same", groups=2, strides=2)
_conv("conv_wider_than_sequence", padding="same", kernel_size=31, length=9)
_conv("conv_no_bias", padding="same", use_bias=False)


def _pool(name: str, kind: str, size: int, strides: int | None, padding: str, length: int = 23) -> None:
    def build() -> Any:
        x = inputs = seq(length)
        x = L.Conv1D(6, 3, padding="same", activation="relu")(x)
        x = getattr(L, kind)(size, strides=strides, padding=padding)(x)
        x = L.Conv1D(5, 3, padding="same", activation="tanh")(x)
        return keras.Model(inputs, dense_head(x))

    GRAPHS[name] = build


for _kind, _short in (("MaxPooling1D", "max"), ("AveragePooling1D", "avg")):
    _pool(f"{_short}_pool_valid", _kind, 2, None, "valid")
    _pool(f"{_short}_pool_same_odd", _kind, 4, None, "same")
    _pool(f"{_short}_pool_overlapping", _kind, 4, 2, "same")
    _pool(f"{_short}_pool_stride_1", _kind, 3, 1, "same")
    _pool(f"{_short}_pool_sparse", _kind, 2, 3, "valid")


@graph
def pool_after_pool() -> Any:
    x = inputs = seq(37)
    x = L.Conv1D(6, 5, padding="same")(x)
    x = L.MaxPooling1D(3)(L.ReLU()(x))
    x = L.AveragePooling1D(2, padding="same")(x)
    x = L.MaxPooling1D(3, strides=2, padding="same")(x)
    return keras.Model(inputs, dense_head(x))


@graph
def activations() -> Any:
    x = inputs = seq()
    for layer in (
        L.Activation("sigmoid"), L.LeakyReLU(0.1), L.ELU(0.7), L.PReLU(), L.ReLU(max_value=2.0, negative_slope=0.1),
        L.Activation("softplus"), L.Activation("gelu"), L.Activation("swish"), L.PReLU(shared_axes=[1]),
    ):  # fmt: skip
        x = layer(L.Conv1D(4, 3, padding="same")(x))
    return keras.Model(inputs, dense_head(x))


@graph
def exponential_activation() -> Any:
    x = inputs = seq()
    x = L.Conv1D(6, 5, padding="same", activation="exponential")(x)
    x = L.MaxPooling1D(2)(x)
    return keras.Model(inputs, dense_head(x))


@graph
def activation_before_conv() -> Any:
    x = inputs = seq()
    x = L.Activation("sigmoid")(L.BatchNormalization()(x))
    x = L.Conv1D(6, 5, padding="same", activation="relu")(x)
    return keras.Model(inputs, dense_head(x))


@graph
def batch_norm_orders() -> Any:
    x = inputs = seq()
    x = L.BatchNormalization()(L.Conv1D(6, 3, padding="same", activation="relu")(x))
    x = L.MaxPooling1D(2)(x)
    x = L.ReLU()(L.BatchNormalization(scale=False, center=False)(L.Conv1D(6, 3, padding="same")(x)))
    x = L.Dropout(0.5)(x)
    x = L.BatchNormalization()(L.Flatten()(x))
    return keras.Model(inputs, L.Dense(2, activation="sigmoid")(x))


@graph
def residual_tower() -> Any:
    x = inputs = seq(41)
    x = L.Conv1D(5, 5, padding="same", activation="relu")(x)
    for dilation in (1, 2, 4, 8):
        x = L.Add()([x, L.Conv1D(5, 3, padding="same", dilation_rate=dilation, activation="relu")(x)])
    return keras.Model(inputs, [L.Conv1D(1, 7, padding="same")(x), L.Dense(1)(L.GlobalAveragePooling1D()(x))])


@graph
def cropped_residuals() -> Any:
    x = inputs = seq(43)
    x = L.Conv1D(5, 5, activation="relu")(x)
    for dilation in (1, 2, 4):
        y = L.Conv1D(5, 3, dilation_rate=dilation, activation="relu")(x)
        x = L.Add()([y, L.Cropping1D(dilation)(x)])
    return keras.Model(inputs, [L.Cropping1D((2, 3))(x), L.GlobalAveragePooling1D()(x)])


@graph
def dense_block() -> Any:
    x = inputs = seq()
    for _ in range(3):
        y = L.Conv1D(3, 3, padding="same", activation="relu")(L.BatchNormalization()(x))
        x = L.Concatenate()([x, y])
    return keras.Model(inputs, dense_head(x))


@graph
def arithmetic_joins() -> Any:
    x = inputs = seq()
    a = L.Conv1D(4, 3, padding="same")(x)
    b = L.Conv1D(4, 7, padding="same", activation="tanh")(x)
    x = L.Concatenate()([
        L.Add()([a, b]), L.Subtract()([a, b]), L.Multiply()([a, b]),
        L.Average()([a, b, a]), L.Maximum()([a, b]), L.Minimum()([a, b]),
    ])  # fmt: skip
    return keras.Model(inputs, dense_head(L.Conv1D(4, 3)(x)))


@graph
def maximum_then_pool() -> Any:
    x = inputs = seq()
    a = L.Conv1D(4, 3, padding="same")(x)
    b = L.Conv1D(4, 9, padding="same", activation="relu")(x)
    x = L.MaxPooling1D(3, padding="same")(L.Maximum()([a, b]))
    return keras.Model(inputs, dense_head(x))


@graph
def add_same_twice() -> Any:
    x = inputs = seq()
    x = L.Conv1D(4, 3, padding="same", activation="relu")(x)
    return keras.Model(inputs, dense_head(L.Add()([x, x])))


@graph
def global_pools() -> Any:
    x = inputs = seq()
    x = L.Conv1D(6, 5, padding="same", activation="relu")(x)
    both = L.Concatenate()([L.GlobalAveragePooling1D()(x), L.GlobalMaxPooling1D()(x)])
    return keras.Model(inputs, L.Dense(3)(L.Dense(8, activation="relu")(both)))


@graph
def per_position_dense() -> Any:
    x = inputs = seq()
    x = L.Dense(5, activation="relu")(x)
    x = L.Conv1D(5, 3, padding="same")(x)
    x = L.TimeDistributed(L.Dense(2, activation="sigmoid"))(x)
    return keras.Model(inputs, x)


@graph
def several_outputs() -> Any:
    x = inputs = seq()
    x = L.Conv1D(5, 3, padding="same", activation="relu")(x)
    return keras.Model(inputs, {"profile": L.Conv1D(2, 5, padding="same")(x), "count": dense_head(x, 1)})


@graph
def output_is_also_inner() -> Any:
    x = inputs = seq()
    x = L.Conv1D(5, 3, padding="same", activation="relu")(x)
    return keras.Model(inputs, [x, dense_head(x)])


@graph
def nested_models() -> Any:
    inner_in = L.Input((23, 5))
    inner_mid = L.Conv1D(5, 3, padding="same", activation="relu")(inner_in)
    innermost = keras.Sequential([L.Input((23, 5)), L.Conv1D(5, 3, padding="same"), L.ReLU()])
    inner = keras.Model(inner_in, L.Add()([innermost(inner_mid), inner_in]))
    x = inputs = seq()
    x = inner(L.Conv1D(5, 5, padding="same")(x))
    return keras.Model(inputs, dense_head(x))


@graph
def shared_layers() -> Any:
    conv = L.Conv1D(4, 3, padding="same", activation="relu")
    norm = L.BatchNormalization()
    x = inputs = seq()
    x = norm(conv(x))
    x = norm(conv(x))
    return keras.Model(inputs, dense_head(x))


@graph
def shared_nested_model() -> Any:
    tower = keras.Sequential([L.Input((23, 4)), L.Conv1D(4, 5, padding="same", activation="relu")])
    x = inputs = seq()
    return keras.Model(inputs, dense_head(L.Add()([tower(x), tower(tower(x))])))


@graph
def sequential() -> Any:
    return keras.Sequential([
        seq(), L.Conv1D(6, 4, activation="relu"), L.MaxPooling1D(2), L.Flatten(), L.Dense(3, activation="softmax"),
    ])  # fmt: skip


@graph
def other_input_after_stop() -> Any:
    other, x = L.Input((5,), name="other"), seq()
    y = L.Flatten()(L.Conv1D(4, 3, activation="relu")(x))
    return keras.Model([other, x], L.Dense(2)(L.Concatenate()([L.Dense(4, activation="relu")(other), y])))


@graph
def other_inputs_meet_first() -> Any:
    a, x, b = L.Input((5,), name="a"), seq(), L.Input((5,), name="b")
    both = L.Multiply()([a, L.Dense(5)(b)])
    y = L.Dense(5, activation="relu")(L.Flatten()(L.Conv1D(4, 3)(x)))
    return keras.Model([a, x, b], L.Dense(2)(L.Add()([both, y])))


@graph
def other_input_per_position() -> Any:
    track, x = L.Input((23, 2), name="track"), seq()
    y = L.Conv1D(4, 5, padding="same", activation="relu")(x)
    y = L.Concatenate()([y, track])
    y = L.Conv1D(4, 3, padding="same", activation="relu")(y)
    y = L.Multiply()([y, L.Dense(4)(track)])
    y = L.Maximum()([y, L.Conv1D(4, 3, padding="same")(track)])
    return keras.Model({"track": track, "seq": x}, dense_head(y))


@graph
def other_input_scales() -> Any:
    gain, x = L.Input((1, 4), name="gain"), seq()
    y = L.Multiply()([L.Conv1D(4, 5, padding="same", activation="relu")(x), gain])
    return keras.Model([x, gain], dense_head(L.Conv1D(4, 3)(y)))


@graph
def squeeze_excite() -> Any:
    x = inputs = seq()
    x = L.Conv1D(6, 5, padding="same", activation="relu")(x)
    gate = L.Dense(6, activation="sigmoid")(L.Dense(3, activation="relu")(L.GlobalAveragePooling1D(keepdims=True)(x)))
    x = L.Multiply()([x, gate])
    return keras.Model(inputs, dense_head(L.Conv1D(4, 3)(x)))


@graph
def attention() -> Any:
    x = inputs = seq()
    x = L.Conv1D(6, 5, padding="same", activation="relu")(x)
    x = L.Add()([x, L.MultiHeadAttention(2, 3)(x, x)])
    return keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling1D()(x)))


@graph
def recurrent() -> Any:
    x = inputs = seq()
    x = L.MaxPooling1D(2)(L.Conv1D(6, 5, activation="relu")(x))
    x = L.Bidirectional(L.LSTM(4, return_sequences=True))(x)
    return keras.Model(inputs, dense_head(x))


@graph
def keras_ops() -> Any:
    x = inputs = seq()
    x = L.Conv1D(6, 5, padding="same")(x)
    x = ops.relu(x) * 2.0 - x / 3.0 + 0.5
    x = ops.concatenate([x[:, 2:-1, :], ops.exp(-ops.square(x))[:, 3:, :]], axis=-1)
    x = L.Conv1D(4, 3)(x)
    return keras.Model(inputs, [ops.mean(x, axis=1), ops.max(x, axis=1), ops.sum(x[:, 4:9], axis=(1, 2))])


@graph
def reverse_complement() -> Any:
    conv = L.Conv1D(4, 5, padding="same", activation="relu")
    x = inputs = seq()
    forward = conv(x)
    backward = conv(x[:, ::-1, ::-1])
    x = L.Maximum()([forward, backward[:, ::-1, :]])
    return keras.Model(inputs, [dense_head(x), ops.mean(forward + backward, axis=1)])


@graph
def u_net() -> Any:
    x = inputs = seq(24)
    a = L.Conv1D(4, 3, padding="same", activation="relu")(x)
    b = L.Conv1D(4, 3, padding="same", activation="relu")(L.MaxPooling1D(2)(a))
    c = L.Conv1D(4, 3, padding="same", activation="relu")(L.MaxPooling1D(2)(b))
    x = L.Concatenate()([L.UpSampling1D(2)(c), b])
    x = L.Add()([L.Conv1DTranspose(4, 4, strides=2, padding="same")(x), L.ZeroPadding1D((1, 2))(a)[:, 1:-2, :]])
    return keras.Model(inputs, L.Conv1D(1, 1)(x))


@graph
def transposed_convolutions() -> Any:
    x = inputs = seq(11)
    x = L.Conv1DTranspose(4, 5, strides=2, padding="valid", activation="relu")(x)
    x = L.Conv1DTranspose(4, 3, strides=3, padding="same")(x)
    x = L.Conv1DTranspose(2, 4, padding="same", activation="tanh")(x)
    return keras.Model(inputs, x)


@graph
def two_dimensional() -> Any:
    x = inputs = seq()
    x = L.Reshape((23, 4, 1))(x)
    x = L.Conv2D(6, (5, 4), activation="relu")(x)
    x = L.MaxPooling2D((2, 1))(x)
    x = L.Conv2D(5, (3, 1), padding="same", activation="relu")(x)
    x = L.Conv2DTranspose(2, (5, 1), padding="same")(x)
    return keras.Model(inputs, dense_head(x))


@graph
def depthwise_and_separable() -> Any:
    x = inputs = seq()
    x = L.DepthwiseConv1D(5, padding="same", depth_multiplier=2, activation="relu")(x)
    x = L.SeparableConv1D(5, 3, strides=2, padding="same", activation="relu")(x)
    return keras.Model(inputs, dense_head(x))


@graph
def normalised_over_channels() -> Any:
    x = inputs = seq()
    x = L.LayerNormalization()(L.Conv1D(5, 3, padding="same")(x))
    x = L.Softmax()(L.UnitNormalization()(L.Conv1D(5, 3, padding="same", activation="relu")(x)))
    return keras.Model(inputs, dense_head(x))


@graph
def normalised_over_positions() -> Any:
    x = inputs = seq()
    x = L.GroupNormalization(2)(L.Conv1D(4, 3, padding="same")(x))
    x = L.LayerNormalization(axis=(1, 2))(x)
    x = L.Softmax(axis=1)(x)
    return keras.Model(inputs, dense_head(x))


@graph
def permuted() -> Any:
    x = inputs = seq()
    x = L.Conv1D(5, 3, padding="same", activation="relu")(x)
    x = L.Activation("tanh")(L.Permute((2, 1))(x))
    x = L.Dense(6)(x)
    return keras.Model(inputs, L.Dense(2)(L.Flatten()(x)))


@graph
def reshaped_back() -> Any:
    x = inputs = seq()
    x = L.Flatten()(L.Conv1D(6, 3, padding="same", activation="relu")(x))
    x = L.Reshape((23, 6))(x)
    x = L.Reshape((23, 2, 3))(L.Conv1D(6, 3, padding="same")(x))
    return keras.Model(inputs, dense_head(x))


@graph
def concatenated_positions() -> Any:
    x = inputs = seq()
    a = L.Conv1D(4, 3, activation="relu")(x)
    b = L.Conv1D(4, 7)(x)
    x = L.Concatenate(axis=1)([a, b])
    return keras.Model(inputs, dense_head(L.Conv1D(3, 5)(x)))


@graph
def linear_only() -> Any:
    x = inputs = seq()
    return keras.Model(inputs, dense_head(L.AveragePooling1D(3)(L.Conv1D(4, 3)(L.Conv1D(4, 3, padding="same")(x)))))


@graph
def identity_output() -> Any:
    x = inputs = seq()
    return keras.Model(inputs, L.Activation("linear")(x))


@graph
def custom_layer_recomputed() -> Any:
    @keras.saving.register_keras_serializable("tests")
    class Scramble(L.Layer):
        def call(self, x: Any) -> Any:
            return ops.roll(x, 3, axis=1) * ops.max(x, axis=(1, 2), keepdims=True)

    x = inputs = seq()
    x = Scramble()(L.Conv1D(4, 3, padding="same", activation="relu")(x))
    return keras.Model(inputs, dense_head(x))


@graph
def channels_first() -> Any:
    x = inputs = seq()
    x = L.Permute((2, 1))(x)
    x = L.MaxPooling1D(2, data_format="channels_first")(L.ReLU()(x))
    return keras.Model(inputs, dense_head(x))


@graph
def one_position_left() -> Any:
    x = inputs = seq(1, 5)
    x = L.Conv1D(5, 1)(x)
    x = L.Concatenate()([L.Flatten()(x), L.Flatten()(x * x), L.GlobalMaxPooling1D()(x)])
    return keras.Model(inputs, L.Dense(2)(x))


@graph
def einsum_dense() -> Any:
    x = inputs = seq()
    x = L.EinsumDense("abc,cde->abde", (23, 2, 3), bias_axes="de", activation="relu")(x)
    x = L.EinsumDense("abcd,cde->abe", (23, 5), bias_axes="e")(x)
    x = L.EinsumDense("abc,bd->adc", (6, 5))(L.Conv1D(5, 3, padding="same")(x))  # mixes positions
    return keras.Model(inputs, dense_head(x))


def _recurrent(name: str, *layers: Callable[[], Any], length: int = 23) -> None:
    def build() -> Any:
        x = inputs = seq(length)
        x = L.MaxPooling1D(2)(L.Conv1D(6, 4, activation="relu")(x))
        for layer in layers:
            x = layer()(x)
        return keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))

    GRAPHS[name] = build


_recurrent("lstm_last", lambda: L.LSTM(5))
_recurrent("lstm_no_bias", lambda: L.LSTM(5, use_bias=False, activation="relu", recurrent_activation="hard_sigmoid"))
_recurrent("gru_sequences", lambda: L.GRU(4, return_sequences=True))
_recurrent("gru_reset_before", lambda: L.GRU(4, reset_after=False, go_backwards=True))
_recurrent("simple_rnn_backwards", lambda: L.SimpleRNN(4, return_sequences=True, go_backwards=True))
_recurrent("bidirectional_stacked", lambda: L.Bidirectional(L.LSTM(4, return_sequences=True)), lambda: L.GRU(3))
_recurrent("bidirectional_last_sum", lambda: L.Bidirectional(L.GRU(4), merge_mode="sum"))
_recurrent("bidirectional_average", lambda: L.Bidirectional(L.SimpleRNN(4, return_sequences=True), merge_mode="ave"))
_recurrent("recurrent_with_dropout", lambda: L.LSTM(3, dropout=0.3, recurrent_dropout=0.2), length=9)


@graph
def recurrent_on_the_sequence_itself() -> Any:
    inputs = seq(13)
    return keras.Model(inputs, [L.LSTM(3)(inputs), L.Bidirectional(L.GRU(2), merge_mode=None)(inputs)])


@graph
def recurrent_with_states_passed() -> Any:
    inputs = seq(11)
    y, h, c = L.LSTM(3, return_sequences=True, return_state=True)(L.Conv1D(3, 3)(inputs))
    return keras.Model(inputs, L.LSTM(3)(y, initial_state=[h, c]))


@graph
def attention_block() -> Any:
    x = inputs = seq(17)
    x = L.Conv1D(8, 3, padding="same", activation="relu")(x)
    y = L.LayerNormalization()(x)
    x = L.Add()([x, L.MultiHeadAttention(2, 3)(y, y)])
    y = L.Dense(6, activation="gelu")(L.LayerNormalization()(x))
    return keras.Model(inputs, L.GlobalAveragePooling1D()(L.Add()([x, L.Dense(8)(y)])))


@graph
def causal_and_cross_attention() -> Any:
    x = inputs = seq(9)
    x = L.Conv1D(4, 3, padding="same")(x)
    y = L.Conv1D(4, 2)(inputs)
    x = L.MultiHeadAttention(2, 3, value_dim=2, use_bias=False)(x, y)
    x = L.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True)
    return keras.Model(inputs, L.Flatten()(x))


@graph
def logsumexp_over_positions() -> Any:
    x = inputs = seq()
    x = L.Conv1D(5, 4, activation="relu")(x)
    outputs = [
        ops.logsumexp(x, axis=1),
        ops.logsumexp(x, axis=-1),
        ops.logsumexp(L.MaxPooling1D(3)(x), axis=(1, 2), keepdims=True),
    ]
    return keras.Model(inputs, outputs)


def tokens(length: int = 15, dtype: str = "int32") -> Any:
    return L.Input((length,), name="seq", dtype=dtype)


@graph
def tokens_embedded() -> Any:
    inputs = tokens()
    positions = L.Embedding(15, 6)(ops.arange(15))
    x = L.Embedding(7, 6)(inputs) + positions
    x = L.Conv1D(5, 4, padding="same", activation="relu")(x)
    return keras.Model(inputs, dense_head(L.MaxPooling1D(2)(x)))


@graph
def tokens_as_floats() -> Any:
    inputs = tokens(dtype="float32")
    x = L.Conv1D(5, 3, activation="gelu")(L.Embedding(5, 4)(inputs))
    return keras.Model(inputs, L.GlobalMaxPooling1D()(x))


@graph
def tokens_one_hot_transformer() -> Any:
    inputs = tokens(12)
    x = L.Dense(6)(ops.one_hot(inputs, 5))
    x = L.Add()([x, L.MultiHeadAttention(2, 3)(x, x)])
    return keras.Model(inputs, L.Bidirectional(L.LSTM(3))(x))


@graph
def tokens_masked() -> Any:
    inputs = tokens(10)
    x = L.Embedding(6, 4, mask_zero=True)(inputs)
    x = L.LSTM(3, return_sequences=True)(x)
    return keras.Model(inputs, L.GlobalAveragePooling1D()(x))


@graph
def masking_layer() -> Any:
    inputs = seq(11)
    x = L.Masking(0.0)(inputs)
    return keras.Model(inputs, [L.GRU(3)(x), L.Conv1D(2, 3)(inputs)])


@graph
def integer_one_hot() -> Any:
    inputs = L.Input((13, 4), name="seq", dtype="int32")
    x = L.Conv1D(4, 3, activation="relu")(ops.cast(inputs, "float32"))
    return keras.Model(inputs, dense_head(x))


# What is followed: functions, custom layers of operations, Keras's own operations


class Contracted(L.Layer):
    """Products with weights by three operations, and a gate of two halves."""

    def build(self, shape: Any) -> None:
        self.first = self.add_weight(shape=(shape[-1], 8), name="first")
        self.second = self.add_weight(shape=(8, 6), name="second")
        self.third = self.add_weight(shape=(6, 5), name="third")

    def call(self, x: Any) -> Any:
        x = ops.einsum("blc,cd->bld", x, self.first)
        x = ops.tensordot(ops.matmul(x, self.second), self.third, axes=1)
        first, second, rest = ops.split(x, [2, 4], axis=-1)
        return ops.concatenate([first * ops.sigmoid(second), rest], axis=-1)


class PairPool(L.Layer):
    """Attention pooling of each pair of positions, as Enformer has it."""

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(shape[-1], shape[-1]), name="w")

    def call(self, x: Any) -> Any:
        pairs = ops.reshape(x, (-1, x.shape[1] // 2, 2, x.shape[2]))
        return ops.sum(pairs * ops.softmax(ops.matmul(pairs, self.w), axis=-2), axis=-2)


class Convolved(L.Layer):
    """Convolutions and pools as operations."""

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(3, shape[-1], 6), name="w")
        self.d = self.add_weight(shape=(3, 6, 1), name="d")
        self.t = self.add_weight(shape=(3, 5, 6), name="t")

    def call(self, x: Any) -> Any:
        x = ops.relu(ops.conv(x, self.w, padding="same", dilation_rate=2))
        x = ops.max_pool(ops.depthwise_conv(x, self.d, padding="same"), 3, 2, "same")
        return ops.average_pool(ops.conv_transpose(x, self.t, 2, "valid"), 2, 1, "same")


class Arranged(L.Layer):
    """Positions moved, cut, copied and mirrored."""

    def call(self, x: Any) -> Any:
        x = ops.pad(x, [[0, 0], [3, 2], [0, 0]], mode="reflect")
        x = ops.roll(x, 2, axis=1)[:, ::2]
        x = ops.concatenate([ops.take(x, [4, 5, 6, 2, 1, 0], axis=1), ops.take(x, [1, 4, 7], axis=1)], axis=1)
        x = ops.stack([x, ops.flip(x, 1)], axis=2)
        x = ops.moveaxis(ops.squeeze(ops.max(x, axis=2, keepdims=True), 2), 1, 2)
        x = ops.pad(ops.repeat(ops.transpose(x, (0, 2, 1)), 2, axis=1), [[0, 0], [1, 1], [0, 0]], mode="symmetric")
        return ops.tile(ops.pad(x, [[0, 0], [1, 0], [0, 0]], constant_values=0.5), [1, 2, 1])


class ByAxis(L.Layer):
    """Operations that read the channels of each position, or each number by itself."""

    def call(self, x: Any) -> Any:
        mean, variance = ops.moments(x, axes=[-1], keepdims=True)
        x = ops.concatenate([(x - mean) * ops.rsqrt(variance + 0.1), ops.sort(x, axis=-1)], axis=-1)
        best, where = ops.top_k(x, 3)
        x = ops.concatenate([ops.cumsum(best, axis=-1), ops.cast(where, x.dtype), ops.arctan(x)], axis=-1)
        return ops.logaddexp(x, ops.std(x, axis=-1, keepdims=True)) + ops.norm(x, axis=-1, keepdims=True)


@keras.saving.register_keras_serializable("tests")
def _swish(x: Any) -> Any:
    return x * ops.sigmoid(1.702 * x)


@graph
def functions_followed() -> Any:
    x = inputs = seq()
    x = L.Conv1D(6, 4, padding="same", activation=_swish)(x)
    x = L.Lambda(_swish)(L.Activation(_swish)(Contracted()(x)))
    return keras.Model(inputs, dense_head(L.SpectralNormalization(L.Conv1D(5, 3))(x)))


@graph
def attention_pools() -> Any:
    x = inputs = seq(24)
    x = PairPool()(L.Conv1D(6, 5, padding="same", activation="relu")(x))
    x = L.Conv1D(4, 3, padding="same", activation="relu")(x)
    one = ops.sum(x * ops.softmax(L.Dense(1)(x), axis=1), axis=1)
    each = ops.sum(ops.softmax(L.Dense(4)(x), axis=1) * x, axis=1, keepdims=True)
    return keras.Model(inputs, [L.Dense(2)(one), each])


@graph
def convolutions_as_operations() -> Any:
    x = inputs = seq()
    return keras.Model(inputs, dense_head(Convolved()(L.ReLU()(x))))


@graph
def arranged_positions() -> Any:
    x = inputs = seq(17)
    x = Arranged()(L.Conv1D(4, 3, activation="relu")(x))
    return keras.Model(inputs, dense_head(L.Conv1D(3, 3, activation="relu")(x)))


@graph
def by_axis() -> Any:
    x = inputs = seq(15)
    x = ByAxis()(L.Conv1D(4, 3, padding="same")(x))
    return keras.Model(inputs, dense_head(L.Conv1D(3, 3, activation="relu")(x)))


@graph
def states_returned() -> Any:
    x = inputs = seq(13)
    x = L.Conv1D(5, 3, activation="relu")(x)
    y, hidden, carry = L.RNN(L.LSTMCell(3), return_sequences=True, return_state=True)(x)
    z, state = L.GRU(3, return_state=True, go_backwards=True)(y)
    return keras.Model(inputs, L.Dense(2)(L.Concatenate()([hidden, carry, z, state])))


@graph
def adapted() -> Any:
    """LoRA adapters, and an EinsumDense with an ellipsis."""
    x = inputs = seq()
    convolution, dense = L.Conv1D(6, 3, padding="same", activation="relu"), L.Dense(4)
    x = dense(convolution(x))
    x = L.EinsumDense("...x,xy->...y", output_shape=3, bias_axes="y")(x)
    model = keras.Model(inputs, dense_head(x))
    for layer in (convolution, dense):
        layer.enable_lora(2)
    return model


class Normalised(L.Layer):
    """Normalisations as operations, and what compares and joins."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")
        self.mean = self.add_weight(shape=(shape[-1],), name="mean")

    def call(self, x: Any) -> Any:
        y = ops.layer_normalization(x, self.scale, self.mean) + ops.rms_normalization(x, self.scale)
        y = y + ops.batch_normalization(x, self.mean, np.full(4, 1.5, "float32"), -1, scale=self.scale)
        y = ops.append(y, ops.diff(x, axis=1), axis=1)
        low = ops.select([y > 0.5, y > -0.5], [y, 0.3 * y], -0.2)
        mean = ops.expand_dims(ops.average(y, axis=-1), -1)
        return low + ops.fliplr(ops.array(y)) * mean


@graph
def normalised_by_operations() -> Any:
    x = inputs = seq(12)
    x = Normalised()(L.Conv1D(4, 3, padding="same")(x))
    return keras.Model(inputs, dense_head(L.Conv1D(3, 3, activation="relu")(x)))


@graph
def two_dimensional_depthwise() -> Any:
    x = inputs = seq(18)
    x = L.DepthwiseConv2D((3, 1), padding="same", depth_multiplier=2)(L.Reshape((18, 1, 4))(x))
    x = L.SeparableConv2D(4, (1, 3), activation="relu")(L.Reshape((1, 18, 8))(x))
    x = L.Reshape((16, 4))(x)
    x = L.AdaptiveAveragePooling1D(4)(L.AdaptiveMaxPooling1D(8)(x))
    return keras.Model(inputs, dense_head(x))
