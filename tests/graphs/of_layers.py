"""Small models of layers and of how they are joined: activations, norms, residuals, outputs, inputs."""

from __future__ import annotations

from typing import Any

import keras

from tests.graphs.registry import dense_head, graph, seq

L = keras.layers
ops = keras.ops


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
