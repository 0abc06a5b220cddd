from __future__ import annotations

from benchmarks.memory import reported_bytes

REPORT = """
Total bytes used: 53745352 (51.25MiB)

Allocations sorted by size:

cumulative_size; total_size - cumulative_size; allocation
------------------------------------------------------------------------------
  28.23MiB( 55%);   23.03MiB; allocation 124: size 28.00MiB, preallocated-temp:
  43.49MiB( 85%);    7.77MiB; allocation 0: size 15.26MiB, parameter 22, shape |f32[4000,1000]| at ShapeIndex {}:
  43.50MiB( 85%);    7.76MiB; allocation 7: size 512B, maybe-live-out:
  43.50MiB( 85%);    7.76MiB; allocation 9: size 4B, constant:

Allocations sorted by size with their values:
allocation 124: size 28.00MiB, preallocated-temp:
"""


def test_what_a_program_adds_is_counted_once() -> None:
    assert reported_bytes(REPORT) == (28 << 20) + 512
