"""Products of deltas and weights, in strict float32 or with operands of fewer digits.

Differences are rounded, not values: an effect keeps as many digits as the
format has, however large the two values are that were subtracted. Sums are
never rounded below float32.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.compiler.xla import xla_data_pb2

from fastism_compiler.emit.functions import Tensor

Product = Callable[..., Tensor]
"""`(a [m, k], b [k, n], transpose_b=False) -> [m, n]`; with `transpose_b`, b is `[n, k]`."""

Rounding = Callable[[Tensor], Tensor]
"""Operands as the product sees them, still float32."""

_TF32_DIGITS = 10
"""Bits of a TensorFloat-32 mantissa; bfloat16 has 7."""


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """How a precision multiplies: GEMMs, and the operands of everything else."""

    product: Product
    rounding: Rounding
    jit: bool = False
    """XLA compiles the program."""
    cpu_only: bool = False
    """XLA compiles it for a CPU: tiles are planned for its caches, and values are updated in place.
    (A program loaded from an `.ism` file keeps the value it was exported with.)"""


def arithmetic_of(precision: str, jit: bool, cpu_only: bool = False) -> Arithmetic:
    """How deltas and weights are multiplied at a precision, in programs with or without XLA."""
    return Arithmetic(product_of(precision, jit), rounding_of(precision, jit), jit, cpu_only)


def product_of(precision: str, jit: bool) -> Product:
    """The product of a precision's name, for programs with or without XLA."""
    if precision == "bfloat16" and jit:
        return _bfloat16_product
    rounding = rounding_of(precision, jit)

    def product(a: Tensor, b: Tensor, transpose_b: bool = False) -> Tensor:
        return tf.matmul(rounding(a), rounding(b), transpose_b=transpose_b)

    return product


def rounding_of(precision: str, jit: bool) -> Rounding:
    """How operands of other linear ops (ordinary convolutions) are rounded."""
    if precision == "bfloat16":
        return _reduced(7) if jit else lambda x: tf.cast(tf.cast(x, tf.bfloat16), x.dtype)
    if precision == "tf32":
        return _reduced(_TF32_DIGITS) if jit else _to_tf32
    return lambda x: x


def _bfloat16_product(a: Tensor, b: Tensor, transpose_b: bool = False) -> Tensor:
    """bfloat16 operands, float32 sums: one instruction on accelerators and CPUs with AVX512-BF16."""
    axes = xla_data_pb2.DotDimensionNumbers(
        lhs_contracting_dimensions=[1], rhs_contracting_dimensions=[1 if transpose_b else 0]
    )
    a, b = tf.cast(a, tf.bfloat16), tf.cast(b, tf.bfloat16)
    return xla.dot_general(a, b, axes, preferred_element_type=tf.float32)


def _reduced(mantissa_bits: int) -> Rounding:
    return lambda x: xla.reduce_precision(x, 8, mantissa_bits)


def _to_tf32(x: Tensor) -> Tensor:
    """Round to nearest, ties to even, on the bits of a float32."""
    bits = tf.bitcast(x, tf.uint32)
    dropped = 23 - _TF32_DIGITS
    last = tf.bitwise.bitwise_and(tf.bitwise.right_shift(bits, tf.constant(dropped, tf.uint32)), 1)
    bits = bits + ((1 << (dropped - 1)) - 1) + last
    bits = tf.bitwise.bitwise_and(bits, tf.constant((0xFFFFFFFF >> dropped) << dropped, tf.uint32))
    return tf.where(tf.math.is_finite(x), tf.bitcast(bits, tf.float32), x)


class _TensorFloat32:
    """TensorFloat-32 is one switch for the whole process: the first to need it off stores it, the last restores it."""

    def __init__(self) -> None:
        self._lock, self._users, self._before = threading.Lock(), 0, False

    def enter(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = tf.config.experimental.tensor_float_32_execution_enabled()
                tf.config.experimental.enable_tensor_float_32_execution(False)
            self._users += 1

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                tf.config.experimental.enable_tensor_float_32_execution(self._before)


_TENSOR_FLOAT_32 = _TensorFloat32()


@contextmanager
def strict_float32() -> Iterator[None]:
    """Switch TensorFloat-32 off while any thread is inside, and back to what it was."""
    _TENSOR_FLOAT_32.enter()
    try:
        yield
    finally:
        _TENSOR_FLOAT_32.leave()
