"""The machine a program is planned for: rates by which passes compare arithmetic, traffic and waiting."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Machine:
    """Rates of a machine; by default the 2 cores on which the factors in the passes were fitted.

    Attributes:
        multiply_adds: per second, of large products.
        bytes: per second, read and written by an element-wise loop that no cache holds.
        start: seconds of a small operation that the next one waits for.
    """

    multiply_adds: float = 200e9
    bytes: float = 48e9
    start: float = 0.65e-6

    @property
    def per_byte(self) -> float:
        """Multiply-adds in the time that one byte takes from or to memory."""
        return self.multiply_adds / self.bytes

    @property
    def per_start(self) -> float:
        """Multiply-adds in the time of a small operation."""
        return self.multiply_adds * self.start


TWO_CORES = Machine()
"""Where none was measured."""
