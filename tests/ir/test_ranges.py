from __future__ import annotations

import numpy as np
import pytest
from fastism_compiler.ir import Carrier, ChangeRanges, PositionMap
from fastism_compiler.ir.errors import RangeError


def ranges(*pairs: tuple[int, int]) -> ChangeRanges:
    table = np.array(pairs, dtype=np.int64)
    return ChangeRanges(table[:, 0], table[:, 1])


def test_default_is_every_position() -> None:
    r = ChangeRanges.of(None, 4)
    assert r.lo.tolist() == [0, 1, 2, 3]
    assert r.widths.tolist() == [1, 1, 1, 1]


def test_every_place_of_one_width() -> None:
    ranges = ChangeRanges.everywhere(5, 3)
    assert (ranges.lo.tolist(), ranges.hi.tolist()) == ([0, 1, 2], [3, 4, 5])


def test_user_ranges_may_overlap_be_unsorted_and_differ_in_width() -> None:
    r = ChangeRanges.of([(5, 9), (0, 2), (1, 3)], 9)
    assert (r.count, r.max_width) == (3, 4)


@pytest.mark.parametrize(
    ("pairs", "rule"),
    [
        ([], "at least one"),
        ([(3, 3)], "must end after it starts"),
        ([(4, 2)], "must end after it starts"),
        ([(-1, 2)], "inside the sequence"),
        ([(8, 11)], "inside the sequence"),
        ([(1, 2, 3)], "pairs of integers"),
        ([(0.5, 1.5)], "pairs of integers"),
        ([(0, 1), (1,)], "pairs of integers"),
        (5, "pairs of integers"),
    ],
)
def test_bad_ranges_are_refused(pairs: list[tuple[int, ...]], rule: str) -> None:
    with pytest.raises(RangeError, match=rule):
        ChangeRanges.of(pairs, 10)  # type: ignore[arg-type]


def test_union_ignores_empty_changes() -> None:
    u = ranges((3, 5), (0, 0), (2, 4)).union(ranges((0, 0), (6, 7), (7, 9)))
    assert list(zip(u.lo.tolist(), u.hi.tolist(), strict=True)) == [(3, 5), (6, 7), (2, 9)]


def test_clip_empties_what_lies_outside() -> None:
    c = ranges((0, 3), (4, 8), (8, 9)).clip(2, 6)
    assert list(zip(c.lo.tolist(), c.hi.tolist(), strict=True)) == [(2, 3), (4, 6), (0, 0)]


def test_subset_and_equals() -> None:
    r = ranges((0, 1), (1, 2), (2, 3))
    assert r.subset(np.array([2, 0])).equals(ranges((2, 3), (0, 1)))
    assert not r.equals(ranges((0, 1)))


def test_describe() -> None:
    assert ChangeRanges.of(None, 9).through(PositionMap(9, 9, taps=5, pad=2)).describe() == "[i-2, i+3)"
    assert ranges((0, 1), (7, 9)).describe() == "[7, 9)@1 w<=2"
    assert ranges((4, 9)).describe() == "[4, 9)@0 w<=5"
    assert ChangeRanges(np.array([], np.int64), np.array([], np.int64)).describe() == "[]"


def test_carrier_hull_covers_both_in_every_row() -> None:
    a, b = Carrier(np.array([0, 5]), 3), Carrier(np.array([2, 1]), 4)
    hull = a.hull(b)
    assert (hull.start.tolist(), hull.width) == ([0, 1], 7)


def test_carrier_questions() -> None:
    c = Carrier(np.array([-1, 4]), 3)
    assert c.overhangs(9)
    assert not Carrier(np.array([0, 6]), 3).overhangs(9)
    assert Carrier(np.array([0, 0]), 9).spans(9)
    assert c.covers(ranges((0, 2), (4, 7)))
    assert not c.covers(ranges((0, 3), (4, 7)))
    assert c.covers(ranges((5, 5), (4, 7)))
    assert c.offset_from(Carrier(np.array([-3, 2]), 1)) == 2
    assert c.offset_from(Carrier(np.array([0, 2]), 1)) is None
    assert c.same_as(Carrier(np.array([-1, 4]), 3))
    assert not c.same_as(Carrier(np.array([-1, 4]), 4))


def test_moved_inside_still_covers_what_is_inside() -> None:
    for step in (1, 2, 4):
        for width in (1, 3, 7):
            c = Carrier(np.arange(-2, 12), width)
            moved = c.moved_inside(13, min(width + step - 1, 13), step)
            assert not moved.overhangs(13)
            assert moved.covers(ranges(*[(max(s, 0), min(s + width, 13)) for s in range(-2, 12)]))


def test_carrier_text() -> None:
    assert str(Carrier(np.arange(9) - 2, 5)) == "i-2:5"
    assert str(Carrier(np.array([3, 3, 3]), 5)) == "3:5"
    assert str(Carrier(np.array([3, 9, 1, 0]), 5)) == "*:5"
