"""Lowering rules for attention: projections stay per-position ops, so only changed tokens are projected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from fastism_compiler.frontend.builder import Builder, Decline
from fastism_compiler.frontend.keras.layers import einsum_dense
from fastism_compiler.frontend.keras.private import attention_parts
from fastism_compiler.ir import Node


def multi_head_attention(builder: Builder, layer: Any, query: Node, value: Node, key: Node | None = None) -> Node:
    """MultiHeadAttention over positions, without masks: three projections, the attention, one projection."""
    parts = attention_parts(layer)
    if type(layer) is not keras.layers.MultiHeadAttention or parts is None or query.type.rank != 3:
        raise Decline("a variant of attention without a rule")
    heads = [
        einsum_dense(builder, projection, x)
        for projection, x in ((parts.query, query), (parts.key, value if key is None else key), (parts.value, value))
    ]
    scale = float(np.float32(layer.key_dim**-0.5))  # Keras casts it through float32, whatever the dtype
    return einsum_dense(builder, parts.output, builder.add("attention", *heads, scale=scale))


def every_position(builder: Builder, layer: Any, *inputs: Any) -> Node:
    """Attention in which every position reads every other: it stays opaque.

    Raises:
        Decline: always.
    """
    raise Decline("every position meets every other")


LAYERS: dict[type, Callable[..., Any]] = {
    keras.layers.MultiHeadAttention: multi_head_attention,
    keras.layers.Attention: every_position,
    keras.layers.AdditiveAttention: every_position,
}
"""Keras layer class -> lowering rule."""

OPERATIONS: dict[str, Callable[..., Any]] = dict.fromkeys(("DotProductAttention", "CDist"), every_position)
"""Class name of a `keras.ops` operation -> lowering rule."""
