"""Position arithmetic against brute force: perturb one position, see what changes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from fastism_compiler.ir import PositionMap, same_padding


def contacts_by_definition(m: PositionMap) -> list[tuple[int, int]]:
    """Every (input, output) pair that one tap connects, from the definition in the docstring."""
    pairs = []
    for tap in range(m.taps):
        if m.scatter:
            found = [(a, a * m.stride - m.pad + tap * m.dilation) for a in range(m.in_length)]
        else:
            found = [(p * m.stride - m.pad + tap * m.dilation, p) for p in range(m.out_length)]
        pairs += [(a, p) for a, p in found if 0 <= a < m.in_length and 0 <= p < m.out_length]
    return [(a, m.out_length - 1 - p) for a, p in pairs] if m.reverse else pairs


def all_maps() -> list[PositionMap]:
    maps = []
    for length, taps, stride, dilation, padding in itertools.product(
        (1, 2, 5, 9, 12), (1, 2, 3, 5), (1, 2, 3), (1, 2, 3), ("valid", "same", "causal")
    ):
        reach = (taps - 1) * dilation
        pads = {"valid": (0, 0), "same": same_padding(length, taps, stride, dilation)[1:], "causal": (reach, 0)}
        left, right = pads[padding]
        out = (length + left + right - reach - 1) // stride + 1
        if out >= 1:
            maps.append(PositionMap(length, out, stride, dilation, taps, left))
        maps.append(PositionMap(length, (length - 1) * stride + reach + 1, stride, dilation, taps, 0, scatter=True))
        maps.append(PositionMap(length, length * stride, stride, dilation, taps, reach // 2, scatter=True))
    maps += [PositionMap(n, n, reverse=True) for n in (1, 2, 7)]
    return maps


MAPS = all_maps()


def test_there_are_thousands_of_cases() -> None:
    assert sum(m.in_length * (m.in_length + 1) // 2 for m in MAPS) > 10_000


def test_reached_covers_exactly_what_changes() -> None:
    for m in MAPS:
        pairs = contacts_by_definition(m)
        for lo in range(m.in_length):
            for hi in range(lo + 1, m.in_length + 1):
                changed = sorted({p for a, p in pairs if lo <= a < hi})
                start, stop = m.reached(np.array([lo]), np.array([hi]))
                if changed:
                    assert start[0] <= changed[0], (m, lo, hi)
                    assert changed[-1] < stop[0], (m, lo, hi)
                    if m.dilation == 1 and m.taps >= m.stride:
                        assert (start[0], stop[0]) == (changed[0], changed[-1] + 1), (m, lo, hi)


def test_needed_covers_what_outputs_read() -> None:
    for m in MAPS:
        pairs = contacts_by_definition(m)
        for lo in range(m.out_length):
            for hi in range(lo + 1, min(lo + 4, m.out_length + 1)):
                read = [a for a, p in pairs if lo <= p < hi]
                start, stop = m.needed(lo, hi)
                assert all(start <= a < stop for a in read), (m, lo, hi)


def test_contacts_count_every_tap() -> None:
    for m in MAPS:
        expected = np.zeros(m.in_length, dtype=int)
        lo, hi = m.out_length // 3, m.out_length
        for a, p in contacts_by_definition(m):
            expected[a] += lo <= p < hi
        np.testing.assert_array_equal(m.contacts(lo, hi), expected, err_msg=str(m))


def test_empty_changes_stay_empty() -> None:
    m = PositionMap(9, 9, taps=3, pad=1)
    start, stop = m.reached(np.array([4]), np.array([4]))
    assert start[0] == stop[0]
    assert m.needed(3, 3) == (0, 0)


def test_a_stride_can_skip_a_change() -> None:
    start, stop = PositionMap(9, 3, stride=3).reached(np.array([1]), np.array([2]))
    assert start[0] == stop[0]


@pytest.mark.parametrize(
    ("length", "size", "stride", "dilation", "expected"),
    [
        (5, 3, 1, 1, (5, 1, 1)), (5, 4, 1, 1, (5, 1, 2)), (7, 2, 2, 1, (4, 0, 1)), (7, 3, 2, 1, (4, 1, 1)),
        (9, 3, 1, 2, (9, 2, 2)),
    ],
)  # fmt: skip
def test_same_padding(length: int, size: int, stride: int, dilation: int, expected: tuple[int, int, int]) -> None:
    assert same_padding(length, size, stride, dilation) == expected
