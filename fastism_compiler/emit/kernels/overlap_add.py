"""Overlap-add: the sum of terms that begin at different positions.

Written as a sum of shifted pads, the form that XLA fuses without recomputing the products behind the terms. It looks
at every term for every position, though: many terms are added one after the other into one value instead.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.positions import between, pad_positions

_MANY = 5
"""Fewest terms that are added faster in place (seconds a sequence, in place and as pads: Basset, six terms, 0.044 and
0.046; Beluga, five, 1.08 and 1.09; scBasset and ChromBPNet, three and two, take 2 to 4 % longer in place)."""


def overlap_add(terms: Sequence[tuple[int, Tensor]], width: int, in_place: bool) -> Tensor:
    """Add `[rows, w, ...]` at the positions where each begins.

    Args:
        terms: `(first position, term)`; widths may differ.
        width: positions of the sum.
        in_place: update one value where that is faster; XLA on a CPU does so without copying it.

    Returns:
        `[rows, width, ...]`.
    """
    if in_place and len(terms) >= _MANY:
        return _updated(terms, width)
    return tf.add_n([_placed(first, term, width) for first, term in terms])


def _placed(first: int, term: Tensor, width: int) -> Tensor:
    return pad_positions(term, first, width - first - term.shape[1])


def _updated(terms: Sequence[tuple[int, Tensor]], width: int) -> Tensor:
    total = _placed(*terms[0], width)
    for first, term in terms[1:]:
        added = between(total, first, first + term.shape[1]) + term
        total = xla.dynamic_update_slice(total, added, tf.constant([0, first] + [0] * (len(term.shape) - 2)))
    return total
