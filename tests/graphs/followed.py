"""Small models of what is followed: functions, custom layers of operations, and layers that hand on to others."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tests.graphs.registry import dense_head, graph, seq

L = keras.layers
ops = keras.ops


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


def between_convolutions(layer: Any, length: int, **options: Any) -> Any:
    x = inputs = seq(length)
    x = layer(L.Conv1D(4, 3, **options)(x))
    return keras.Model(inputs, dense_head(L.Conv1D(3, 3, activation="relu")(x)))


@graph
def arranged_positions() -> Any:
    return between_convolutions(Arranged(), 17, activation="relu")


@graph
def by_axis() -> Any:
    return between_convolutions(ByAxis(), 15, padding="same")


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
    return between_convolutions(Normalised(), 12, padding="same")


@graph
def two_dimensional_depthwise() -> Any:
    x = inputs = seq(18)
    x = L.DepthwiseConv2D((3, 1), padding="same", depth_multiplier=2)(L.Reshape((18, 1, 4))(x))
    x = L.SeparableConv2D(4, (1, 3), activation="relu")(L.Reshape((1, 18, 8))(x))
    x = L.Reshape((16, 4))(x)
    x = L.AdaptiveAveragePooling1D(4)(L.AdaptiveMaxPooling1D(8)(x))
    return keras.Model(inputs, dense_head(x))
