from __future__ import annotations

import pytest
from fastism_compiler.ir.kernels import KernelShape
from fastism_compiler.ir.kernels.scatter_gemm import SPEC, Banding

SHAPES = [
    (w, k, f, d)
    for w in (1, 2, 7, 13, 26, 101, 500)
    for k in (1, 2, 3, 11, 13, 21, 41, 75)
    for f in (1, 3, 4, 32)
    for d in (1, 2, 10, 25)
]


@pytest.mark.parametrize(
    ("shape", "together"),
    [
        ((17, 11, 200, 1), 1),  # Basset's second: few terms, wide products
        ((500, 3, 64, 64), 1),  # BPNet's towers
        ((7, 19, 300, 1), 1),  # the terms are those of seven positions
        ((1000, 25, 1, 1), 4),  # BPNet's profile
        ((1000, 75, 1, 1), 8),  # ChromBPNet's profile
        ((200, 7, 1, 1), 2),  # few filters
        ((200, 1, 1, 1), 1),  # one tap: nothing overlaps
        ((500, 21, 32, 10), 2),  # SpliceAI
        ((1400, 41, 32, 25), 4),
        ((20, 41, 32, 25), 1),  # no two positions meet the same tap
    ],
)
def test_positions_together(shape: tuple[int, int, int, int], together: int) -> None:
    assert Banding(*shape).together == together


def test_transposed_convolutions_with_strides_are_left_alone() -> None:
    assert Banding(100, 75, 1, 1, stride=2).together == 1


def test_bands_hold_the_window_and_all_it_reaches() -> None:
    for width, taps, filters, dilation in SHAPES:
        banding = Banding(width, taps, filters, dilation)
        if banding.together == 1:
            assert (banding.rows, banding.columns) == (width, taps * filters)
            continue
        band = banding.together * dilation
        assert (banding.bands - 1) * band < width <= banding.bands * band
        assert banding.columns >= (banding.together + taps - 1) * filters
        assert banding.pieces <= 12 or banding.bands <= 2, "even bands come before few terms"


def test_bands_are_even() -> None:
    """Five steps of 25 positions: two bands of three steps, and not of four."""
    assert (Banding(101, 41, 32, 25).together, Banding(101, 41, 32, 25).bands) == (3, 2)


def test_products_of_few_filters_fill_vectors() -> None:
    assert Banding(1000, 25, 1, 1).columns == 32
    assert Banding(1000, 75, 2, 1).columns == 176


def test_what_bands_cost() -> None:
    """250 bands of four positions with 28 columns in vectors: 32."""
    profile = KernelShape(2, 1000, 1024, 25, 64, 1, 1)
    assert SPEC.scratch(profile) == 250 * 32
    assert SPEC.arranged(profile) == 4 * 64 * 32
    assert SPEC.multiply_adds(profile) == 250 * 4 * 64 * 32
    assert SPEC.moved(profile) == 250 * 32 + 1024
