"""Enformer and Borzoi built from Keras layers as they were published: exact, and windowed up to the first attention.

Small, but with everything that users' own versions have: functions as activations, attention pooling written as
operations in a custom layer, attention with relative positions, a crop, and Borzoi's U-net behind it.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from fastism_compiler.models.randomize import randomize
from tests.programs import compile_tiles

L, ops = keras.layers, keras.ops
LENGTH, CHANNELS, HEADS = 64, 8, 2


def gelu(x: Any) -> Any:
    """Enformer's."""
    return ops.sigmoid(1.702 * x) * x


class AttentionPool(keras.layers.Layer):
    """Pairs of positions, weighted by a softmax of a product of their channels."""

    def build(self, shape: Any) -> None:
        self.logits = self.add_weight(shape=(shape[-1], shape[-1]), name="logits")

    def call(self, x: Any) -> Any:
        pairs = ops.reshape(x, (-1, x.shape[1] // 2, 2, x.shape[2]))
        weights = ops.softmax(ops.einsum("blpc,cd->blpd", pairs, self.logits), axis=2)
        return ops.sum(pairs * weights, axis=2)


class RelativeAttention(keras.layers.Layer):
    """Attention whose scores also depend on how far positions lie apart: products with distances, shifted."""

    def build(self, shape: Any) -> None:
        size, channels = (shape[-1], HEADS * 4), shape[-1]
        self.query, self.key, self.value = (self.add_weight(shape=size, name=n) for n in ("query", "key", "value"))
        self.distances = self.add_weight(shape=(5, HEADS * 4), name="distances")
        self.biases = [self.add_weight(shape=(HEADS, 1, 4), name=n) for n in ("content", "position")]
        self.result = self.add_weight(shape=(HEADS * 4, channels), name="result")

    @staticmethod
    def basis(length: int) -> Any:
        """Central masks of distances, symmetric and not, `[2 L - 1, 5]`."""
        distance = np.arange(-length + 1, length)
        widths = np.array([2.0, 4.0, 8.0])
        masks = (np.abs(distance)[:, None] <= widths).astype("float32")
        return np.concatenate([masks, np.sign(distance)[:, None] * masks[:, :2]], axis=1).astype("float32")

    def heads(self, x: Any) -> Any:
        """`[B, heads, L, 4]`."""
        return ops.transpose(ops.reshape(x, (-1, x.shape[1], HEADS, 4)), (0, 2, 1, 3))

    def call(self, x: Any) -> Any:
        length = x.shape[1]
        query, key, value = (self.heads(ops.matmul(x, w)) for w in (self.query, self.key, self.value))
        positions = ops.reshape(ops.matmul(self.basis(length), self.distances), (2 * length - 1, HEADS, 4))
        content = ops.einsum("bhid,bhjd->bhij", query * 0.5 + self.biases[0], key)
        relative = ops.einsum("bhid,jhd->bhij", query * 0.5 + self.biases[1], positions)
        relative = ops.pad(relative, [(0, 0), (0, 0), (0, 0), (1, 0)])
        relative = ops.reshape(relative, (-1, HEADS, 2 * length, length))[:, :, 1:]
        relative = ops.reshape(relative, (-1, HEADS, length, 2 * length - 1))[..., :length]
        mixed = ops.einsum("bhij,bhjd->bhid", ops.softmax(content + relative, axis=-1), value)
        joined = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, length, HEADS * 4))
        return ops.matmul(joined, self.result)


def block(x: Any, filters: int, width: int) -> Any:
    return L.Conv1D(filters, width, padding="same")(L.Activation(gelu)(L.BatchNormalization()(x)))


def transformer(x: Any) -> Any:
    y = L.Dropout(0.4)(RelativeAttention()(L.LayerNormalization()(x)))
    x = L.Add()([x, y])
    y = L.Dense(2 * CHANNELS, activation="relu")(L.LayerNormalization()(x))
    return L.Add()([x, L.Dense(CHANNELS)(y)])


def enformer() -> Any:
    inputs = L.Input((LENGTH, 4))
    x = L.Conv1D(CHANNELS, 15, padding="same")(inputs)
    x = AttentionPool()(L.Add()([x, block(x, CHANNELS, 1)]))
    x = block(x, CHANNELS, 5)
    x = AttentionPool(name="last_pool")(L.Add()([x, block(x, CHANNELS, 1)]))
    x = L.Cropping1D(2)(transformer(x))
    return keras.Model(inputs, L.Dense(3, activation="softplus")(L.Activation(gelu)(block(x, 2 * CHANNELS, 1))))


def borzoi() -> Any:
    inputs = L.Input((LENGTH, 4))
    x = L.MaxPooling1D(2)(L.Conv1D(CHANNELS, 15, padding="same")(inputs))
    fine = block(x, CHANNELS, 5)
    coarse = L.MaxPooling1D(2, name="last_pool")(fine)
    x = transformer(coarse)
    x = L.UpSampling1D(2)(L.Dense(CHANNELS)(L.Activation(gelu)(x)))
    x = L.SeparableConv1D(CHANNELS, 3, padding="same")(L.Add()([x, L.Dense(CHANNELS)(fine)]))
    return keras.Model(inputs, L.Dense(3, activation="softplus")(L.Cropping1D(4)(x)))


@pytest.mark.parametrize("build", [enformer, borzoi])
def test_it_is_exact_and_windowed_up_to_the_first_attention(build: Any) -> None:
    model = randomize(build())
    program = compile_tiles(model, jit=False, verify=False)
    assert "relative_attention" in program.plan.stops[0][0]
    for layer, reason in program.plan.stops:
        assert "relative_attention" in layer or "depends on every position" in reason
    assert not [note for note in program.plan.notes if "frozen" in note]
    pools = [layer for layer in program.plan.layers if layer.layer.startswith("last_pool")]
    assert pools and all(layer.window and layer.window < layer.length for layer in pools)
    randomize(model, seed=1)  # also what the distances are multiplied with before they meet a sequence
    x = np.eye(4, dtype="float32")[np.random.default_rng(0).integers(0, 4, (1, LENGTH))]
    mutants = np.repeat(x, LENGTH, axis=0)
    mutants[np.arange(LENGTH), np.arange(LENGTH)] = 0
    np.testing.assert_allclose(program(x)[0], model(mutants), rtol=1e-5, atol=1e-5)
