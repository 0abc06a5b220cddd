from __future__ import annotations

import numpy as np
import pytest
from fastism_compiler.ir.kernels.winograd import Pairing

SHAPES = [(w, k, d) for w in range(1, 14) for k in range(1, 10) for d in range(1, 6)]


@pytest.mark.parametrize("dilation", range(1, 6))
def test_every_position_comes_first_or_second(dilation: int) -> None:
    """A second position is one dilation behind its first."""
    for width in range(1, 20):
        first = [p for p in range(width) if p // dilation % 2 == 0]
        second = [p for p in range(width) if p // dilation % 2 == 1]
        pairing = Pairing(width, 3, dilation)
        assert (pairing.first, pairing.second) == (len(first), len(second))
        assert {p - dilation for p in second} <= set(first)


def test_groups_hold_every_tap_once() -> None:
    assert [Pairing(2, k, 1).groups for k in (1, 2, 3, 4, 8)] == [(1,), (2,), (3,), (3, 1), (3, 3, 2)]


def test_products_are_fewer_where_there_are_pairs() -> None:
    for width, taps, dilation in SHAPES:
        pairing = Pairing(width, taps, dilation)
        spared = sum(size - 1 for size in pairing.groups) * pairing.second
        assert pairing.products == width * taps - spared


def test_a_pair_and_three_taps_take_four_products() -> None:
    pairing = Pairing(2, 3, 1)
    assert (pairing.products, pairing.matrices) == (4, 4)
    assert np.isclose(Pairing(1000, 3, 10).products / 3000, 2 / 3)
