"""Kernels of Keras layers as nodes: plain, with a LoRA adapter, or behind a quantization."""

from __future__ import annotations

from typing import Any

from fastism_compiler.frontend.builder import Builder
from fastism_compiler.frontend.keras.axiswise import layer_over_axes
from fastism_compiler.ir import Node


def quantized(layer: Any) -> str | None:
    """How a layer's kernel is quantized; None where it is not."""
    mode = getattr(layer, "quantization_mode", None)
    return None if mode is None else str(mode)


def kernel_node(builder: Builder, layer: Any, name: str = "kernel") -> Node:
    """A layer's kernel, or another weight of that name, its LoRA adapter added.

    The adapter is `alpha / rank * a @ b` (Hu et al. 2022, section 4.1); all three stay live weights.
    """
    if not getattr(layer, "lora_enabled", False):
        return builder.node(getattr(layer, name))
    plain = builder.parameter(getattr(layer, f"_{name}"))
    first, second = (builder.parameter(getattr(layer, f"lora_{name}_{part}")) for part in "ab")
    scale = float(layer.lora_alpha / layer.lora_rank)
    return builder.add("add", plain, builder.add("multiply", builder.add("dense", first, second), scale))


def whole_layer(builder: Builder, layer: Any, x: Node, axes: int = 1) -> Any:
    """An opaque call of a quantized layer: it rounds its input by the range of the values on the last `axes` axes."""
    over = tuple(range(x.type.rank - axes, x.type.rank))
    return layer_over_axes(builder, layer, x, over, f"{type(layer).__name__} quantized to {quantized(layer)}")
