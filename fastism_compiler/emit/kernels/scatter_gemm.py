"""The `scatter-gemm` kernel: every position adds its products with all taps (see `ir.kernels.scatter_gemm`)."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.kernels.overlap_add import overlap_add
from fastism_compiler.emit.positions import between, pad_positions, spread_out
from fastism_compiler.emit.precision import Arithmetic, Product
from fastism_compiler.ir import Node
from fastism_compiler.ir.kernels.scatter_gemm import Banding
from fastism_compiler.ir.kernels.spec import Contraction
from fastism_compiler.ir.queries import geometry_of


def prepare(node: Node, weights: Tensor, width: int) -> tuple[Tensor, Banding]:
    """The matrix of all taps, and how windows of `width` positions meet it."""
    g = geometry_of(node)
    transposed = g.kind is Contraction.TRANSPOSED
    weights = tf.transpose(weights, [0, 2, 1]) if transposed else tf.reverse(weights, [0])
    banding = Banding(width, g.taps, g.filters, g.dilation, g.stride)
    return arrange_taps(weights, banding), banding


def apply(
    node: Node, x: Tensor, weights: tuple[Tensor, Banding], arithmetic: Arithmetic, starts: Callable[[], Tensor]
) -> Tensor:
    """`[rows, w, Cin]` to `[rows, (w-1)*stride + (k-1)*dilation + 1, Cout]`."""
    return spread_taps(x, *weights, arithmetic.product, arithmetic.cpu_only)


def arrange_taps(weights: Tensor, banding: Banding) -> Tensor:
    """`[k, Cin, Cout]`, in the order in which taps are spread, as the matrix `[together * Cin, columns]`."""
    taps, channels, filters = weights.shape
    together, columns = banding.together, banding.columns
    reached = columns // filters
    shifted = [tf.pad(weights, [[i, reached - taps - i], [0, 0], [0, 0]]) for i in range(together)]
    matrix = tf.reshape(tf.transpose(tf.stack(shifted), [0, 2, 1, 3]), [together * channels, reached * filters])
    return tf.pad(matrix, [[0, 0], [0, columns - reached * filters]])


def spread_taps(x: Tensor, matrix: Tensor, banding: Banding, product: Product, in_place: bool = False) -> Tensor:
    """Every position adds `x[a] @ weights[t]` at `a*stride + t*dilation`.

    Args:
        x: `[rows, w, Cin]`.
        matrix: what `arrange_taps` made of the weights.
        banding: how the window and the taps are cut.
        product: what multiplies.
        in_place: how terms are added (see `overlap_add`).

    Returns:
        `[rows, (w-1)*stride + (k-1)*dilation + 1, Cout]`.
    """
    if banding.together > 1:
        return _spread_bands(x, matrix, banding, product, in_place)
    width, channels = x.shape[1], x.shape[2]
    taps, stride, dilation = banding.taps, banding.stride, banding.dilation
    terms = product(tf.reshape(x, [-1, channels]), matrix)
    terms = tf.reshape(terms, [-1, width, taps, banding.filters])
    if stride == 1 and dilation == 1 and width < taps:
        return overlap_add(list(enumerate(tf.unstack(terms, axis=1))), width + taps - 1, in_place)
    terms = spread_out(terms, stride)
    reach = (taps - 1) * dilation
    by_tap = tf.unstack(terms, axis=2)
    return overlap_add([(t * dilation, term) for t, term in enumerate(by_tap)], terms.shape[1] + reach, in_place)


def _spread_bands(x: Tensor, matrix: Tensor, banding: Banding, product: Product, in_place: bool = False) -> Tensor:
    bands, together, pieces = banding.bands, banding.together, banding.pieces
    dilation, filters, channels = banding.dilation, banding.filters, x.shape[2]
    x = pad_positions(x, 0, bands * together * dilation - banding.width)
    x = _side_by_side(tf.reshape(x, [-1, bands, together, dilation, channels]), dilation)
    terms = product(tf.reshape(x, [-1, together * channels]), matrix)
    terms = between(terms, 0, pieces * together * filters)
    terms = tf.reshape(terms, [-1, bands, dilation, pieces, together * filters])
    reached = bands + pieces - 1
    total = overlap_add(list(enumerate(tf.unstack(terms, axis=3))), reached, in_place)
    total = _side_by_side(tf.reshape(total, [-1, reached, dilation, together, filters]), dilation)
    total = tf.reshape(total, [-1, reached * together * dilation, filters])
    return between(total, 0, banding.width + (banding.taps - 1) * dilation)


def _side_by_side(x: Tensor, dilation: int) -> Tensor:
    """Positions one dilation apart as neighbours, and back."""
    return x if dilation == 1 else tf.transpose(x, [0, 1, 3, 2, 4])
