"""Basenji2, SpliceAI, Enformer, Borzoi and PromoterAI; each can be built as a small copy of the same structure."""

from __future__ import annotations

from typing import Any

import keras

from fastism_compiler.models.randomize import randomize
from fastism_compiler.models.sizes import checked_sizes

L = keras.layers


def _width(filters: int, scale: float, multiple: int = 1) -> int:
    return max(round(filters * scale / multiple), 1) * multiple


def _conv_block(x: Any, filters: int, width: int, *, activation: str = "gelu", **options: Any) -> Any:
    """Norm and activation in front of the convolution, as Basenji, Enformer and SpliceAI do."""
    x = L.Activation(activation)(L.BatchNormalization()(x))
    return L.Conv1D(filters, width, padding="same", **options)(x)


@checked_sizes
def basenji2(length: int = 131_072, tracks: int = 5313, scale: float = 1.0, crop: int = 64, seed: int = 0) -> Any:
    """Basenji2 (Kelley 2020): a pooled tower, eleven dilated residual blocks, per-position Dense.

    Args:
        length: sequence length, a multiple of 128.
        tracks: outputs per 128-base bin.
        scale: multiplies the filters.
        crop: bins cut off at either end.
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [B, length / 128 - 2 crop, tracks]`.
    """
    x = inputs = L.Input((length, 4))
    x = L.MaxPooling1D(2, padding="same")(_conv_block(x, _width(288, scale), 15))
    for filters in (339, 399, 470, 554, 652, 768):
        x = L.MaxPooling1D(2, padding="same")(_conv_block(x, _width(filters, scale), 5))
    dilation = 1.0
    for _ in range(11):
        y = _conv_block(x, _width(384, scale), 3, dilation_rate=round(dilation))
        y = L.Dropout(0.3)(_conv_block(y, _width(768, scale), 1))
        x, dilation = L.Add()([x, y]), dilation * 1.5
    x = L.Cropping1D(crop)(x)
    x = L.Dropout(0.05)(_conv_block(x, _width(1536, scale), 1))
    x = L.Dense(tracks, activation="softplus")(L.Activation("gelu")(x))
    return randomize(keras.Model(inputs, x, name="basenji2"), seed)


@checked_sizes
def spliceai(length: int = 15_000, filters: int = 32, blocks: int = 4, crop: int | None = None, seed: int = 0) -> Any:
    """SpliceAI-10k (Jaganathan et al. 2019): dilated pre-activation residual blocks, summed skips, a crop.

    Args:
        length: sequence length.
        filters: channels.
        blocks: residual blocks in each of the four groups.
        crop: positions cut off at either end (default: 5,000, or a third of a shorter sequence).
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [B, length - 2 crop, 3]`.
    """
    crop = min(5000, length // 3) if crop is None else crop
    inputs = L.Input((length, 4))
    x = L.Conv1D(filters, 1)(inputs)
    skip = L.Conv1D(filters, 1)(x)
    for width, dilation in ((11, 1), (11, 4), (21, 10), (41, 25)):
        for _ in range(blocks):
            y = _conv_block(x, filters, width, activation="relu", dilation_rate=dilation)
            y = _conv_block(y, filters, width, activation="relu", dilation_rate=dilation)
            x = L.Add()([x, y])
        skip = L.Add()([skip, L.Conv1D(filters, 1)(x)])
    outputs = L.Conv1D(3, 1, activation="softmax")(L.Cropping1D(crop)(skip))
    return randomize(keras.Model(inputs, outputs, name="spliceai"), seed)


@keras.saving.register_keras_serializable("fastism_compiler")
class SoftmaxPool(keras.layers.Layer):  # type: ignore[misc] # Keras is untyped
    """Enformer's attention pooling: a softmax-weighted sum over each block of `pool_size` positions (2 in Enformer)."""

    def __init__(self, pool_size: int = 2, **options: Any) -> None:
        super().__init__(**options)
        self.pool_size = pool_size

    def build(self, shape: Any) -> None:
        """One square matrix of logits."""
        self.kernel = self.add_weight(shape=(shape[-1], shape[-1]), name="kernel")

    def call(self, x: Any) -> Any:
        """`[B, L, C] -> [B, L / pool_size, C]`."""
        blocks = keras.ops.reshape(x, (-1, x.shape[1] // self.pool_size, self.pool_size, x.shape[2]))
        weights = keras.ops.softmax(keras.ops.matmul(blocks, self.kernel), axis=-2)
        return keras.ops.sum(blocks * weights, axis=-2)

    def get_config(self) -> dict[str, Any]:
        """Keras configuration."""
        return {**super().get_config(), "pool_size": self.pool_size}


def _enformer_gelu(x: Any) -> Any:
    """Enformer's GELU, `x * sigmoid(1.702 x)`."""
    return x * keras.ops.sigmoid(1.702 * x)


def _norm_conv(x: Any, filters: int, width: int) -> Any:
    return L.Conv1D(filters, width, padding="same")(_enformer_gelu(L.BatchNormalization()(x)))


def _transformer(x: Any, channels: int, heads: int) -> Any:
    y = L.LayerNormalization()(x)
    x = L.Add()([x, L.Dropout(0.4)(L.MultiHeadAttention(heads, max(channels // heads, 1))(y, y))])
    y = L.Dense(2 * channels, activation="relu")(L.LayerNormalization()(x))
    return L.Add()([x, L.Dense(channels)(L.Dropout(0.4)(y))])


@checked_sizes
def enformer(
    length: int = 196_608, tracks: int = 5313, scale: float = 1.0, attention: int = 11, crop: int = 320, seed: int = 0
) -> Any:
    """Enformer (Avsec et al. 2021): convolution towers with attention pooling, transformer blocks, a crop.

    Args:
        length: sequence length, a multiple of 128.
        tracks: outputs per 128-base bin.
        scale: multiplies the channels.
        attention: transformer blocks (multi-head attention without Enformer's relative positions).
        crop: bins cut off at either end.
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [B, length / 128 - 2 crop, tracks]`.
    """
    x = inputs = L.Input((length, 4))
    x = L.Conv1D(_width(768, scale, 8), 15, padding="same")(x)
    x = SoftmaxPool()(L.Add()([x, _norm_conv(x, x.shape[-1], 1)]))
    for filters in (768, 896, 1024, 1152, 1280, 1536):
        x = _norm_conv(x, _width(filters, scale, 8), 5)
        x = SoftmaxPool()(L.Add()([x, _norm_conv(x, x.shape[-1], 1)]))
    for _ in range(attention):
        x = _transformer(x, x.shape[-1], 8)
    x = L.Cropping1D(crop)(x)
    x = L.Dropout(0.05)(_norm_conv(x, 2 * x.shape[-1], 1))
    x = L.Conv1D(tracks, 1, activation="softplus")(_enformer_gelu(x))
    return randomize(keras.Model(inputs, x, name="enformer"), seed)


@checked_sizes
def promoterai(
    length: int = 20_480,
    tracks: int = 1024,
    blocks: int = 24,
    channels: int = 1024,
    crop: int = 8192,
    shortcuts: int = 4,
    seed: int = 0,
) -> Any:
    """PromoterAI (Jaganathan et al. 2025): blocks of a dilated depthwise convolution and two Dense layers.

    Args:
        length: sequence length.
        tracks: outputs per position.
        blocks: number of blocks; the dilation of block `i` is `max(1, 2 ** (i // 2 - 1))`.
        channels: of every block; the Dense layer in the middle has four times as many.
        crop: positions cut off at either end.
        shortcuts: every `shortcuts`-th block, from the last back, has a head; the heads are averaged.
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [B, length - 2 crop, tracks]`.
    """
    x = inputs = L.Input((length, 4))
    x = L.Conv1D(channels, 1, activation="relu")(x)
    values = []
    for block in range(blocks):
        dilation = max(1, 2 ** (block // 2 - 1))
        y = L.DepthwiseConv1D(5, dilation_rate=dilation, padding="same")(L.BatchNormalization()(x))
        x = L.Add()([x, y])
        y = L.Dense(4 * channels, activation="relu")(L.BatchNormalization()(x))
        x = L.Add()([x, L.Dense(channels)(y)])
        values.append(x)
    heads = [L.Dense(tracks, activation="relu")(x) for x in values[::-1][::shortcuts]]
    outputs = L.Cropping1D(crop)(L.Average()(heads) if len(heads) > 1 else heads[0])
    return randomize(keras.Model(inputs, outputs, name="promoterai"), seed)


@checked_sizes
def borzoi(
    length: int = 524_288, tracks: int = 7611, scale: float = 1.0, attention: int = 8, crop: int = 5120, seed: int = 0
) -> Any:
    """Borzoi (Linder et al. 2025): a pooled tower, transformers, a U-net back up to 32-base bins, a crop.

    Args:
        length: sequence length, a multiple of 128.
        tracks: outputs per 32-base bin.
        scale: multiplies the channels.
        attention: transformer blocks.
        crop: 32-base bins cut off at either end.
        seed: of the random weights.

    Returns:
        A model `[B, length, 4] -> [B, length / 32 - 2 crop, tracks]`.
    """
    x = inputs = L.Input((length, 4))
    x = L.MaxPooling1D(2, padding="same")(L.Conv1D(_width(512, scale, 8), 15, padding="same")(x))
    levels = []
    for filters in (608, 736, 896, 1056, 1280, 1536):
        x = _conv_block(x, _width(filters, scale, 8), 5)
        levels.append(x)
        x = L.MaxPooling1D(2, padding="same")(x)
    for _ in range(attention):
        x = _transformer(x, x.shape[-1], 8)
    channels = _width(1536, scale, 8)
    for level in (levels[-1], levels[-2]):
        x = L.UpSampling1D(2)(_conv_block(x, channels, 1))
        x = L.Add()([x, _conv_block(level, channels, 1)])
        x = L.SeparableConv1D(channels, 3, padding="same")(x)
    x = L.Cropping1D(crop)(x)
    x = L.Dropout(0.1)(_conv_block(x, _width(1920, scale, 8), 1))
    x = L.Conv1D(tracks, 1, activation="softplus")(L.Activation("gelu")(x))
    return randomize(keras.Model(inputs, x, name="borzoi"), seed)
