"""The machine a program is planned for: rates by which passes compare arithmetic, traffic and waiting."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Machine:
    """Rates of a machine; by default the 2 cores on which the factors in the passes were fitted.

    Attributes:
        multiply_adds: per second, of large products.
        bytes: per second, from memory.
        start: seconds that a small operation takes before the next can begin.
    """

    multiply_adds: float = 200e9
    bytes: float = 200e9 / 6
    start: float = 5e-6

    @property
    def per_byte(self) -> float:
        """Multiply-adds in the time that one byte takes to arrive from memory."""
        return self.multiply_adds / self.bytes

    @property
    def per_start(self) -> float:
        """Multiply-adds in the time that starting an operation takes."""
        return self.multiply_adds * self.start


TWO_CORES = Machine()
"""Where none was measured."""
