"""Terms added into one value, one after the other, give what a sum of shifted pads gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from fastism_compiler.emit.overlap_add import overlap_add

STARTS = [(0,), (3,), (0, 2), (0, 1, 2, 3, 4), (5, 0, 3, 3, 9, 1), tuple(range(12))]


def added(terms: list[tuple[int, Any]], width: int, in_place: bool) -> Any:
    """Through XLA, as the only one to update in place."""
    starts = [first for first, _ in terms]

    def run(arrays: list[Any]) -> Any:
        return overlap_add(list(zip(starts, arrays, strict=True)), width, in_place)

    return tf.function(run, jit_compile=True, autograph=False)([tf.constant(x) for _, x in terms]).numpy()


@pytest.mark.parametrize("starts", STARTS)
@pytest.mark.parametrize("more", [(), (3,), (2, 3)], ids=str)
@pytest.mark.parametrize("in_place", [False, True])
def test_every_term_is_added_where_it_begins(starts: tuple[int, ...], more: tuple[int, ...], in_place: bool) -> None:
    rng = np.random.default_rng(0)
    terms = [(first, rng.integers(-9, 10, (2, 1 + k % 3, *more)).astype("float32")) for k, first in enumerate(starts)]
    width = max(first + x.shape[1] for first, x in terms) + 1
    expected = np.zeros((2, width, *more), np.float32)
    for first, x in terms:
        expected[:, first : first + x.shape[1]] += x
    np.testing.assert_array_equal(added(terms, width, in_place), expected)


@pytest.mark.parametrize("in_place", [False, True])
def test_operands_are_left_as_they_are(in_place: bool) -> None:
    """Nothing that somebody else reads is updated."""
    x = tf.constant(np.arange(12, dtype=np.float32).reshape(1, 12))

    def run(x: Any) -> Any:
        return overlap_add([(0, x)] * 6, 12, in_place), x + 0

    total, same = tf.function(run, jit_compile=True, autograph=False)(x)
    np.testing.assert_array_equal(total, 6 * x.numpy())
    np.testing.assert_array_equal(same, x.numpy())
