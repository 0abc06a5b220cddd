"""Kernels for convolutions on deltas: `D [rows, w, Cin]`, `W [k, Cin, Cout]`, `w + (k-1)d` outputs.

Each kernel is a pair: `prepare` arranges the weights once per block,
`apply` runs once per tile. All give the same numbers up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.kernels.scatter_gemm import arrange_taps, spread_out, spread_taps
from fastism_compiler.emit.kernels.winograd import Points, arrange, spread_pairs
from fastism_compiler.emit.ops import depthwise_conv, grouped_conv
from fastism_compiler.emit.positions import pad_positions
from fastism_compiler.emit.precision import Product, Rounding, product_of, rounding_of
from fastism_compiler.ir import Node
from fastism_compiler.ir.kernels.banding import Banding
from fastism_compiler.passes.select_kernels import DIRECT, GATHER_GEMM, SCATTER_GEMM, TOEPLITZ, WINOGRAD

Prepare = Callable[[Node, Tensor, int], Any]
"""`(node, weights, window width) -> arranged weights`: a tensor, or a tuple of them"""
Apply = Callable[[Node, Tensor, Any, "Arithmetic"], Tensor]
"""`(node, rows, arranged weights, arithmetic) -> rows`"""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How a precision multiplies: GEMMs, and the operands of everything else."""

    product: Product
    rounding: Rounding
    cpu_only: bool = False
    """XLA compiles the program, and on a CPU: what is planned for its cache holds, and values are updated in place.
    (A program loaded from an `.ism` file keeps what it was made with.)"""


def arithmetic_of(precision: str, jit: bool, cpu_only: bool = False) -> Arithmetic:
    """How deltas meet weights at a precision, in programs with or without XLA."""
    return Arithmetic(product_of(precision, jit), rounding_of(precision, jit), cpu_only)


@dataclass(frozen=True, slots=True)
class Kernel:
    """One lowering of a linear op on deltas."""

    prepare: Prepare
    apply: Apply


def product_with_slice(x: Tensor, kernel: Tensor, start: Tensor, parts: int, product: Product) -> Tensor:
    """`x [rows, w] @ kernel[start : start + w]`, the slice read in equal parts.

    XLA copies what a product reads of a larger tensor. Only a small copy is
    still in a cache when the product comes to it.
    """
    size, columns = x.shape[1] // parts, kernel.shape[1]
    if parts == 1:
        return product(x, tf.slice(kernel, [start, 0], [size, columns]))
    by_part = tf.transpose(tf.reshape(x, [-1, parts, size]), [1, 0, 2])

    def add(part: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        rows = tf.slice(kernel, [start + part * size, 0], [size, columns])
        return part + 1, total + product(by_part[part], rows)

    first = tf.constant(0), tf.zeros([x.shape[0], columns], x.dtype)
    return tf.while_loop(lambda part, _: part < parts, add, first, maximum_iterations=parts)[1]


def _prepare_scatter(node: Node, weights: Tensor, width: int) -> tuple[Tensor, Banding]:
    if node.op == "conv_transpose":
        weights, stride = tf.transpose(weights, [0, 2, 1]), node.attrs["stride"]
    else:
        weights, stride = tf.reverse(weights, [0]), 1
    taps, _, filters = weights.shape
    banding = Banding(width, taps, filters, node.attrs["dilation"], stride)
    return arrange_taps(weights, banding), banding


def _apply_scatter(node: Node, x: Tensor, weights: tuple[Tensor, Banding], arithmetic: Arithmetic) -> Tensor:
    return spread_taps(x, *weights, arithmetic.product, arithmetic.cpu_only)


def _prepare_winograd(node: Node, weights: Tensor, width: int) -> Points:
    return arrange(tf.reverse(weights, [0]))


def _apply_winograd(node: Node, x: Tensor, weights: Points, arithmetic: Arithmetic) -> Tensor:
    filters, dilation = node.type.extent(2), node.attrs["dilation"]
    return spread_pairs(x, weights, filters, dilation, arithmetic.product, arithmetic.cpu_only)


def _prepare_toeplitz(node: Node, weights: Tensor, width: int) -> Tensor:
    """`[w*Cin, w_out*Cout]`: input position `i` meets output `j` with tap `i + (k-1)d - j`."""
    taps, channels, filters = weights.shape
    dilation = node.attrs["dilation"]
    spread = spread_out(tf.reverse(weights, [0])[None], dilation)[0]
    reach = (taps - 1) * dilation + 1
    banded = tf.stack([tf.pad(spread, [[i, width - 1 - i], [0, 0], [0, 0]]) for i in range(width)])
    out_width = reach + width - 1
    return tf.reshape(tf.transpose(banded, [0, 2, 1, 3]), [width * channels, out_width * filters])


def _apply_toeplitz(node: Node, x: Tensor, weights: Tensor, arithmetic: Arithmetic) -> Tensor:
    width, channels = x.shape[1], x.shape[2]
    rows = arithmetic.product(tf.reshape(x, [-1, width * channels]), weights)
    filters = node.type.extent(2)
    return tf.reshape(rows, [-1, weights.shape[1] // filters, filters])


def _prepare_gather(node: Node, weights: Tensor, width: int) -> Tensor:
    taps, channels, filters = weights.shape
    return tf.reshape(weights, [taps * channels, filters])


def _apply_gather(node: Node, x: Tensor, weights: Tensor, arithmetic: Arithmetic) -> Tensor:
    """`x` holds all that the outputs read; each output's taps side by side, then one product."""
    channels, dilation = x.shape[2], node.attrs["dilation"]
    taps = weights.shape[0] // channels
    width = x.shape[1] - (taps - 1) * dilation
    columns = tf.concat([x[:, t * dilation : t * dilation + width] for t in range(taps)], axis=2)
    rows = arithmetic.product(tf.reshape(columns, [-1, taps * channels]), weights)
    return tf.reshape(rows, [-1, width, weights.shape[1]])


def _apply_direct(node: Node, x: Tensor, weights: Tensor, arithmetic: Arithmetic) -> Tensor:
    """The ordinary op on the window: zeros beside it where it is not phase-aligned already."""
    attrs = node.attrs
    taps = weights.shape[0]
    reach = (taps - 1) * attrs["dilation"] if attrs["stride"] == 1 else 0
    x, weights = arithmetic.rounding(pad_positions(x, reach, reach)), arithmetic.rounding(weights)
    if node.op == "depthwise_conv":
        return depthwise_conv(x, weights, attrs)
    if attrs["groups"] != 1:
        return grouped_conv(x, weights, attrs)
    return tf.nn.conv1d(x, weights, stride=attrs["stride"], padding="VALID", dilations=attrs["dilation"])


def _as_is(node: Node, weights: Tensor, width: int) -> Tensor:
    return weights


KERNELS: dict[str, Kernel] = {
    SCATTER_GEMM: Kernel(_prepare_scatter, _apply_scatter),
    WINOGRAD: Kernel(_prepare_winograd, _apply_winograd),
    TOEPLITZ: Kernel(_prepare_toeplitz, _apply_toeplitz),
    GATHER_GEMM: Kernel(_prepare_gather, _apply_gather),
    DIRECT: Kernel(_as_is, _apply_direct),
}
"""Convolution kernels by the name that `select-kernels` gives them."""
