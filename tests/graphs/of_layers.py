"""Small models of layers: convolutions and pools of every padding, joins, recurrences, attention, tokens, masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tests.graphs.registry import GRAPHS, dense_head, graph, seq

L = keras.layers
ops = keras.ops


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


def _linear(name: str, length: int, *convolutions: dict[str, Any]) -> None:
    """Convolutions in a row, with nothing between them."""

    def build() -> Any:
        x = inputs = seq(length)
        for number, options in enumerate(convolutions):
            x = L.Conv1D(6 - number, **{"kernel_size": 3, "padding": "same"} | options)(x)
        return keras.Model(inputs, dense_head(L.ReLU()(x)))

    GRAPHS[name] = build


_linear("linear_same", 25, {"kernel_size": 4}, {})
_linear("linear_valid", 24, {"padding": "valid"}, {"padding": "valid", "kernel_size": 4})
_linear("linear_causal", 23, {"padding": "causal"}, {"padding": "causal"}, {"padding": "causal", "kernel_size": 2})
_linear("linear_dilated", 31, {"dilation_rate": 2}, {"padding": "valid", "dilation_rate": 3}, {"kernel_size": 1})
_linear("linear_mixed", 25, {"padding": "valid", "use_bias": False}, {"padding": "causal", "dilation_rate": 2})


@graph
def linear_chain_with_skip() -> Any:
    """As in Sei: the second of two linear convolutions is read by a third and by a sum."""
    x = inputs = seq(24)
    skip = L.Conv1D(5, 3, padding="valid")(L.Conv1D(6, 3, padding="causal")(x))
    x = L.Conv1D(5, 3, padding="causal", activation="relu")(skip)
    return keras.Model(inputs, dense_head(L.MaxPooling1D(2)(L.Add()([x, skip]))))


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
