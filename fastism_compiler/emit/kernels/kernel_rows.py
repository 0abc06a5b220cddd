"""The `kernel-rows` kernel: a flattened window times its rows of a dense kernel, the same rows for the whole tile."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.kernels.direct import product_of_rows
from fastism_compiler.emit.precision import Arithmetic
from fastism_compiler.ir import Node


def prepare(node: Node, weights: Tensor, width: int) -> Tensor:
    """The weights as they are."""
    return weights


def apply(node: Node, x: Tensor, weights: Tensor, arithmetic: Arithmetic, starts: Callable[[], Tensor]) -> Tensor:
    """`[rows, ..., w]` to `[rows, ..., out]`."""
    carrier = node.operands[0].carrier
    if carrier.spans(weights.shape[0]):
        return product_of_rows(x, weights, arithmetic)
    start = tf.reshape(starts(), [-1])[0]
    parts = node.facts.parts if arithmetic.cpu_only else 1
    rows = product_with_slice(tf.reshape(x, [-1, carrier.width]), weights, start, parts, arithmetic)
    return tf.reshape(rows, [-1, *x.shape[1:-1], weights.shape[1]])


def product_with_slice(x: Tensor, kernel: Tensor, start: Tensor, parts: int, arithmetic: Arithmetic) -> Tensor:
    """`x [rows, w] @ kernel[start : start + w]`, the slice read in equal parts.

    XLA copies what a product reads of a larger tensor. Only a small copy is
    still in a cache when the product reads it.
    """
    size, columns = x.shape[1] // parts, kernel.shape[1]
    product = arithmetic.product
    if parts == 1:
        return product(x, _rows(kernel, start, size, arithmetic.jit))
    by_part = tf.transpose(tf.reshape(x, [-1, parts, size]), [1, 0, 2])

    def add(part: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
        rows = _rows(kernel, start + part * size, size, arithmetic.jit)
        return part + 1, total + product(by_part[part], rows)

    first = tf.constant(0), tf.zeros([x.shape[0], columns], x.dtype)
    return tf.while_loop(lambda part, _: part < parts, add, first, maximum_iterations=parts)[1]


def _rows(kernel: Tensor, start: Tensor, size: int, jit: bool) -> Tensor:
    """`kernel[start : start + size]`.

    TensorFlow makes the begin of a `tf.slice` a compile-time constant: XLA would compile again for other ranges.
    """
    shape = [size, kernel.shape[1]]
    begin = tf.stack([start, tf.zeros_like(start)])
    return xla.dynamic_slice(kernel, begin, shape) if jit else tf.slice(kernel, begin, shape)
