"""select-kernels: the lowering of each linear op on deltas with the lowest predicted cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from fastism_compiler.ir.facts import Form, Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.kernels.banding import Banding
from fastism_compiler.ir.kernels.winograd import Pairing
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops import Aggregates
from fastism_compiler.ir.queries import effect_on, rule_of
from fastism_compiler.ir.ranges import Window
from fastism_compiler.passes.base import Candidate, Context, Kind, Pass

SCATTER_GEMM = "scatter-gemm"
"""one GEMM `[rows*w, Cin] x [Cin, k*Cout]`, or of a few positions together (see `banding`), then overlap-add"""
WINOGRAD = "winograd"
"""GEMMs of pairs of positions and groups of taps at up to four points: a third fewer products, then overlap-add"""
TOEPLITZ = "toeplitz"
"""one GEMM `[rows, w*Cin] x [w*Cin, w_out*Cout]` with a banded kernel: no overlap-add"""
GATHER_GEMM = "gather-gemm"
"""one GEMM `[rows*n, k*Cin] x [k*Cin, Cout]` over the `n` outputs that are needed: for windows that
edges, crops or selected outputs clip to less than what went in"""
DIRECT = "direct"
"""zero-pad the window and run the ordinary op"""
KERNEL_ROWS = "kernel-rows"
"""contract the changed positions with their rows of the kernel"""

_MOVED = {True: 1.08, False: 31.2}
"""What one byte of the overlap-add costs, with and without XLA's fusion, in bytes from memory (measured on
Basset's second convolution: 2.6 us and 55 us for 75 kB a row, against 183 multiply-adds a nanosecond)."""


_WINOGRAD_MOVED = 2.2
"""What a byte of `winograd` costs, in bytes of `scatter-gemm`: every product is read for two or three outputs (64
channels, width 279: 153 us a row for 109 us; 300 to 200, width 7, 11 taps: 69 us for 81 us; `benchmarks.kernels`)."""

_WINOGRAD_STARTS = 9
"""Small operations that `winograd` starts and `scatter-gemm` does not: three products, and sums around all."""

_DIRECT_OVERHEAD = 1.8
"""How much slower a small convolution runs than a GEMM of its multiply-adds (measured: 64
channels, width 279, 70 us against 45 us for scatter-gemm including its overlap-add)."""


_HOPELESS = 4.0
"""A candidate predicted to cost this many times the cheapest one is not worth timing (a wide
window's banded kernel would not even fit in memory)."""


@dataclass(frozen=True)
class SelectKernelsPass(Pass):
    """Name a kernel for every heavy op that runs on deltas.

    1. A Dense over a flattened window reads the `kernel-rows` it needs.
    2. A plain convolution (stride 1, one group) takes the cheapest of
       `kernels`: by the cost model, or by time where the context has a
       stopwatch (`Context.measure`).
    3. Every other linear op runs `direct` on the phase-aligned window.
    """

    name: ClassVar[str] = "select-kernels"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("insert-slice-assign",)

    kernels: tuple[str, ...] = (SCATTER_GEMM, WINOGRAD, TOEPLITZ, GATHER_GEMM, DIRECT)

    def run(self, graph: Graph, context: Context) -> None:
        for node in graph.nodes(Section.TILE):
            if rule_of(node).contraction and node.facts.form is Form.DELTA:
                node.facts.kernel = _fixed(node) or self._cheapest(graph, node, context)

    def _cheapest(self, graph: Graph, node: Node, context: Context) -> str:
        candidates = [candidate_for(node, kernel, context) for kernel in self.kernels]
        return cheapest(candidates, context).kernel


def _fixed(node: Node) -> str | None:
    """The kernel of an op that has only one; None for a plain convolution."""
    state = node.operands[0].facts.state
    if not isinstance(state, Window):
        return DIRECT
    if node.op == "dense" and isinstance(effect_on(node, 0, state.axis), Aggregates):
        return KERNEL_ROWS
    if node.op == "conv_transpose":
        return SCATTER_GEMM
    return None if node.op == "conv" and node.attrs["stride"] == 1 and node.attrs["groups"] == 1 else DIRECT


def candidate_for(node: Node, kernel: str, context: Context) -> Candidate:
    """What running a plain convolution's windows with `kernel` would mean."""
    rows, weights = node.operands
    taps, channels, filters = (weights.type.extent(i) for i in range(3))
    dilation = node.attrs["dilation"]
    reach = (taps - 1) * dilation
    if kernel == GATHER_GEMM:
        out_width = max(node.window.ranges.max_width, 1)
        width = out_width + reach
    else:
        width = max(rows.window.ranges.max_width, 1)
        out_width = width + reach
    alone = Candidate(kernel, 1, width, out_width, taps, channels, filters, dilation)
    size = 4 * (width * channels + out_width * filters + scratch(alone))
    most = (context.shared_cache or context.tile_bytes) // size
    return replace(alone, rows=int(np.clip(most, 1, context.machine.tile_rows)))


def banding_of(c: Candidate) -> Banding:
    """How `scatter-gemm` cuts a window and a kernel."""
    return Banding(c.width, c.taps, c.filters, c.dilation, c.stride)


def pairing_of(c: Candidate) -> Pairing:
    """How `winograd` cuts a window and a kernel."""
    return Pairing(c.width, c.taps, c.dilation)


def scratch(c: Candidate) -> int:
    """Elements that one row takes between what a kernel reads and what it returns."""
    if c.kernel == SCATTER_GEMM:
        return banding_of(c).rows * banding_of(c).columns
    if c.kernel == WINOGRAD:
        return 2 * c.width * c.channels + pairing_of(c).products * c.filters
    if c.kernel == GATHER_GEMM:
        return c.out_width * c.taps * c.channels
    return 0


def arranged(c: Candidate) -> int:
    """Elements of the weights as a kernel's products read them; 0 where they stay as they are."""
    if c.kernel == SCATTER_GEMM:
        return banding_of(c).together * c.channels * banding_of(c).columns
    if c.kernel == WINOGRAD:
        return pairing_of(c).matrices * c.channels * c.filters
    return c.width * c.channels * c.out_width * c.filters if c.kernel == TOEPLITZ else 0


def multiply_adds(c: Candidate) -> int:
    """Products of one row; those with the zeros of a band count, as they take time."""
    if c.kernel == SCATTER_GEMM:
        return banding_of(c).rows * arranged(c)
    if c.kernel == WINOGRAD:
        return pairing_of(c).products * c.channels * c.filters
    if c.kernel == TOEPLITZ:
        return arranged(c)
    return c.out_width * c.taps * c.channels * c.filters


def cheapest(candidates: Sequence[Candidate], context: Context) -> Candidate:
    """The candidate with the lowest predicted cost, or the shortest time for a row if there is a stopwatch."""
    costs = {c: predicted_cost(c, context) for c in candidates}
    measure = context.measure
    if measure is None:
        return min(costs, key=lambda c: costs[c])
    hopeful = [c for c, cost in costs.items() if cost <= _HOPELESS * min(costs.values())]
    return hopeful[0] if len(hopeful) == 1 else min(hopeful, key=lambda c: measure(c) / c.rows)


def predicted_cost(candidate: Candidate, context: Context) -> float:
    """Cost per row, in multiply-adds."""
    return _COSTS[candidate.kernel](candidate, context)


def _scatter_gemm(c: Candidate, context: Context) -> float:
    return multiply_adds(c) + _fused(scratch(c) + c.out_width * c.filters, context)


def _winograd(c: Candidate, context: Context) -> float:
    """Never in fewer digits than float32: what cancels between points would be lost."""
    if context.precision != "float32" or pairing_of(c).second == 0:
        return float("inf")
    moved = _WINOGRAD_MOVED * (scratch(c) + c.out_width * c.filters)
    starts = _WINOGRAD_STARTS * context.machine.per_start / c.rows
    return multiply_adds(c) + _fused(moved, context) + starts


def _toeplitz(c: Candidate, context: Context) -> float:
    return multiply_adds(c) + arranged(c) / context.batch_size


def _gather_gemm(c: Candidate, context: Context) -> float:
    return multiply_adds(c) + _fused(c.width * c.channels + 2 * scratch(c), context)


def _direct(c: Candidate, context: Context) -> float:
    return _DIRECT_OVERHEAD * multiply_adds(c)


def _fused(elements: float, context: Context) -> float:
    """What it costs to move so many numbers through loops that XLA fuses."""
    return 4 * elements * _MOVED[context.jit] * context.machine.per_byte


_COSTS: dict[str, Callable[[Candidate, Context], float]] = {
    SCATTER_GEMM: _scatter_gemm,
    WINOGRAD: _winograd,
    TOEPLITZ: _toeplitz,
    GATHER_GEMM: _gather_gemm,
    DIRECT: _direct,
}
