"""select-kernels: the lowering of each linear op on deltas with the lowest predicted cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from fastism_compiler.ir.graph import Form, Graph, Node, Section
from fastism_compiler.ir.ops import Aggregates, effect_on, rule_of
from fastism_compiler.ir.ranges import Window
from fastism_compiler.passes.base import Context, Kind, Pass

SCATTER_GEMM = "scatter-gemm"
"""one GEMM `[rows*w, Cin] x [Cin, k*Cout]`, then overlap-add: minimal arithmetic"""
TOEPLITZ = "toeplitz"
"""one GEMM `[rows, w*Cin] x [w*Cin, w_out*Cout]` with a banded kernel: no overlap-add"""
DIRECT = "direct"
"""zero-pad the window and run the ordinary op"""
KERNEL_ROWS = "kernel-rows"
"""contract the changed positions with their rows of the kernel"""

_MULTIPLY_ADDS_PER_BYTE = {True: 4.5, False: 130.0}
"""What one byte of the overlap-add costs, with and without XLA's fusion (measured on Basset's
second convolution: 2.6 us and 55 us for 75 kB a row, against 183 multiply-adds a nanosecond)."""


_DIRECT_OVERHEAD = 1.8
"""How much slower a small convolution runs than a GEMM of its multiply-adds (measured: 64
channels, width 279, 70 us against 45 us for scatter-gemm including its overlap-add)."""


@dataclass(frozen=True)
class SelectKernelsPass(Pass):
    """Name a kernel for every heavy op that runs on deltas.

    1. A Dense over a flattened window reads the `kernel-rows` it needs.
    2. A plain convolution (stride 1, one group) takes the cheapest of
       `scatter-gemm`, `toeplitz` and `direct`.
    3. Every other linear op runs `direct` on the phase-aligned window.
    """

    name: ClassVar[str] = "select-kernels"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("insert-slice-assign",)

    def run(self, graph: Graph, context: Context) -> None:
        for node in graph.nodes(Section.TILE):
            if rule_of(node).heavy and node.facts.form is Form.DELTA:
                node.facts.kernel = _select(graph, node, context)


def _select(graph: Graph, node: Node, context: Context) -> str:
    rows = graph.operands(node)[0]
    state = rows.facts.state
    if not isinstance(state, Window):
        return DIRECT
    if node.op == "dense" and isinstance(effect_on(graph, node, 0, state.axis), Aggregates):
        return KERNEL_ROWS
    if node.op == "conv_transpose":
        return SCATTER_GEMM
    if node.op != "conv" or node.attrs["stride"] != 1 or node.attrs["groups"] != 1:
        return DIRECT
    costs = {kernel: cost(graph, node, state, context) for kernel, cost in _COSTS.items()}
    return min(costs, key=lambda kernel: costs[kernel])


def _shape(graph: Graph, node: Node, state: Window) -> tuple[int, int, int, int, int]:
    """Window width, output width, taps, input and output channels."""
    kernel = graph.operands(node)[1].type
    taps, channels, filters = (kernel.extent(i) for i in range(3))
    width = max(state.ranges.max_width, 1)
    return width, width + (taps - 1) * node.attrs["dilation"], taps, channels, filters


def _scatter_gemm(graph: Graph, node: Node, state: Window, context: Context) -> float:
    width, out_width, taps, channels, filters = _shape(graph, node, state)
    moved = 4 * filters * (width * taps + out_width)
    return width * taps * channels * filters + moved * _MULTIPLY_ADDS_PER_BYTE[context.jit]


def _toeplitz(graph: Graph, node: Node, state: Window, context: Context) -> float:
    width, out_width, _, channels, filters = _shape(graph, node, state)
    banded_kernel = width * channels * out_width * filters / context.batch_size
    return width * out_width * channels * filters + banded_kernel


def _direct(graph: Graph, node: Node, state: Window, context: Context) -> float:
    _, out_width, taps, channels, filters = _shape(graph, node, state)
    return _DIRECT_OVERHEAD * out_width * taps * channels * filters


_COSTS: dict[str, Callable[[Graph, Node, Window, Context], float]] = {
    SCATTER_GEMM: _scatter_gemm,
    TOEPLITZ: _toeplitz,
    DIRECT: _direct,
}
