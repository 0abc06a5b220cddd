"""The machine a program is planned for: rates by which passes compare arithmetic, traffic and waiting."""

from __future__ import annotations

from dataclasses import dataclass

from fastism_compiler.ir.errors import OptionError


@dataclass(frozen=True, slots=True)
class Machine:
    """Rates and sizes of a machine; by default the 2 cores on which the factors in the passes were fitted.

    Attributes:
        multiply_adds: per second, of large products.
        bytes: per second, read and written by an element-wise loop that no cache holds.
        start: seconds of a small operation that the next one waits for.
        tile_rows: most rows of a tile.
        tile_bytes: most bytes of the widest step of a tile; more never pays.
        whole_rows: most whole mutants that the model itself scores at once.
        gpu: no caches are planned for, and no barriers used: a conditional would wait for the host.

    Raises:
        OptionError: a rate or a size that is not above 0.
    """

    multiply_adds: float = 200e9
    bytes: float = 48e9
    start: float = 0.65e-6
    tile_rows: int = 256
    tile_bytes: int = 64 << 20
    whole_rows: int = 64
    gpu: bool = False

    def __post_init__(self) -> None:
        sizes = self.tile_rows, self.tile_bytes, self.whole_rows
        if not min(self.multiply_adds, self.bytes, self.start) > 0:
            raise OptionError("a machine has rates above 0", got=self)
        if not all(isinstance(n, int) and n > 0 for n in sizes):
            raise OptionError("sizes of a machine are whole numbers above 0", got=self)

    def cpu_only(self, jit: bool) -> bool:
        """Whether XLA compiles the program for a CPU, where plans for caches hold and barriers are cheap."""
        return jit and not self.gpu

    @property
    def per_byte(self) -> float:
        """Multiply-adds in the time that one byte takes from or to memory."""
        return self.multiply_adds / self.bytes

    @property
    def per_start(self) -> float:
        """Multiply-adds in the time of a small operation."""
        return self.multiply_adds * self.start


TWO_CORES = Machine()
"""The default CPU, if its rates were not measured."""

ONE_GPU = Machine(25e12, 2.6e12, 3e-6, tile_rows=8192, tile_bytes=1 << 30, whole_rows=1024, gpu=True)
"""The default GPU, if its rates were not measured: an H100 in strict float32 (`benchmarks.gpu`)."""
