"""The fitted constants of the planner. Each names the command that fits or checks it.

What was measured is told in `benchmarks/results/README.md`. Constants of a single kernel stand in its module under
`ir/kernels`; rates of a machine in `Machine`.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CostModel:
    """Constants fitted to measurements on 2 cores; costs are in multiply-adds of a large product."""

    # Which kernel: passes/cost/kernels.py

    moved_fused: float = 1.08
    """Cost of a byte in a loop that XLA fuses, in bytes from memory. `python -m benchmarks.kernels`"""
    moved_unfused: float = 31.2
    """The same without XLA. `python -m benchmarks.kernels`"""
    hopeless: float = 4.0
    """A kernel predicted to cost this many times the cheapest one is not timed. `python -m benchmarks.kernels`"""

    # Where windows are stored: passes/place_windows.py

    slack: float = 1.25
    """A window stored more than this many times as wide as its changes is realigned.
    `python -m benchmarks.compare`"""
    more_parts: int = 4
    """Parts of a dense-kernel slice may be this many times smaller than necessary, to be equal.
    `python -m benchmarks.tiles`"""
    slice_bytes: int = 4 << 20
    """Bytes of a dense kernel that a CPU copies and multiplies at once. `python -m benchmarks.tiles --models beluga`"""

    # How many rows a tile has: passes/cost/tiles.py

    tile_starts: int = 300
    """Cost of starting a tile, in small operations. `python -m benchmarks.tiles`"""
    lane_tile_starts: int = 50
    """The same where another lane works meanwhile. `python -m benchmarks.tiles`"""
    weight_bytes: float = 1.44
    """Bytes moved for each byte of weights that a tile reads: they are packed for the product too.
    `python -m benchmarks.tiles`"""
    shared_cache: int = 4 << 20
    """Bytes: a lane's part of the cache that cores share, which is not theirs alone. `python -m benchmarks.tiles`"""
    core_cache: int = 2 << 20
    """Bytes of a tile's widest step that stay near one core. `python -m benchmarks.tiles`"""
    saved_in_cache: float = 0.36
    """Part of the time of reading from memory that is saved by staying in the caches. `python -m benchmarks.tiles`"""

    # Which programs calls share: runtime/engine.py

    spare_seconds: float = 0.0002
    """Predicted seconds that a call may spend on sequences that only pad its block.
    `python -m benchmarks.sharing`"""
    spare_share: float = 0.01
    """The same as a part of the call. `python -m benchmarks.sharing`"""
    spare_tile: float = 0.003
    """Predicted seconds that a call may spend on rows that only pad tiles. `python -m benchmarks.sharing`"""
    spare_rows: float = 0.03
    """The same as a part of the call. `python -m benchmarks.sharing`"""
    loop_seconds: float = 0.1
    """Predicted seconds of one loop call, so that starting it is negligible. `python -m benchmarks.sharing`"""
    loop_bytes: int = 16 << 20
    """Most bytes of results of one call of a loop. `python -m benchmarks.memory`"""

    # Whether the program pays, and how ranges share programs: passes/cost/programs.py, planning/buckets.py

    from_memory: float = 0.78
    """Fraction of the bytes of windows that costs memory time, where no cache holds a tile.
    `python -m benchmarks.predictions`"""
    passes: int = 9
    """Memory passes over a full activation (op, bias, normalisation, activation, consumer).
    `python -m benchmarks.predictions`"""
    unfused: float = 3.5
    """Cost of a byte of a window without XLA, element-wise steps among them, in bytes as above.
    `python -m benchmarks.predictions --no-xla`"""
    program: float = 0.05
    """Part of a scan's cost that one more program must save to be worth compiling. `python -m benchmarks.compare`"""

    # How much memory it takes: planning/memory.py

    live_buffers: int = 3
    """Buffers as large as the model's largest value that are live when it runs whole. `python -m benchmarks.memory`"""


FITTED = CostModel()
"""The constants as they were fitted."""
