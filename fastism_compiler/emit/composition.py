"""The kernel of two convolutions in a row, computed once per block from the current weights."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.ir import Node
from fastism_compiler.ir.composition import Pair, meeting_taps


def compose_kernels(node: Node, first: Tensor, second: Tensor) -> Tensor:
    """`[k1, Cin, C]` and `[k2, C, Cout]` as one kernel `[k, Cin, Cout]`: one product for each of its taps."""
    first, second = (tf.cast(kernel, node.type.dtype) for kernel in (first, second))
    taps = meeting_taps((first.shape[0], second.shape[0]), node.attrs["dilations"])
    of_first, of_second = tf.unstack(first), tf.unstack(second)
    return tf.stack([_tap(of_first, of_second, pairs) for pairs in taps])


def _tap(first: Sequence[Tensor], second: Sequence[Tensor], pairs: Sequence[Pair]) -> Tensor:
    """The sum of the products of some pairs of taps, as a product of their matrices side by side."""
    if not pairs:
        return tf.zeros([first[0].shape[0], second[0].shape[1]], first[0].dtype)
    left = tf.concat([first[t] for t, _ in pairs], axis=1)
    return tf.matmul(left, tf.concat([second[s] for _, s in pairs], axis=0))
