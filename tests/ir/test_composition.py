"""Which taps of two kernels meet in the composed one."""

from __future__ import annotations

from itertools import product

import pytest
from fastism_compiler.ir.composition import composed_dilation, composed_taps, meeting_taps


@pytest.mark.parametrize("dilations", [(1, 1), (2, 2), (1, 3), (4, 6), (3, 2)])
@pytest.mark.parametrize("taps", list(product((1, 2, 5), (1, 3, 4))))
def test_every_two_taps_meet_once(taps: tuple[int, int], dilations: tuple[int, int]) -> None:
    met, dilation = meeting_taps(taps, dilations), composed_dilation(taps, dilations)
    assert sorted(pair for pairs in met for pair in pairs) == list(product(*map(range, taps)))
    assert len(met) == composed_taps(taps, dilations, dilation)
    for offset, pairs in enumerate(met):
        assert all(t * dilations[0] + s * dilations[1] == offset * dilation for t, s in pairs)


def test_a_single_tap_has_no_dilation() -> None:
    assert composed_dilation((1, 3), (5, 4)) == 4
    assert composed_dilation((1, 1), (5, 4)) == 1
