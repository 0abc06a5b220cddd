"""Lower bounds on time: arithmetic over peak rate, and the same with each op at the rate its shape allows.

Both count every changed position with every tap. `winograd` multiplies less, so a program may come below them.
"""

from __future__ import annotations

from typing import Any

from fastism_compiler.ir import Graph, Node, Section
from fastism_compiler.ir.arithmetic import delta_multiply_adds
from fastism_compiler.ir.kernels import Contraction
from fastism_compiler.ir.queries import geometry_of, rule_of, weights_of
from fastism_compiler.passes.cost.rows import kernel_shape, stored_size

from benchmarks.machine import bandwidth, gemm_rate, peak_gemm_rate


def floor_seconds(program: Any) -> float:
    """Least time per sequence: minimal delta multiply-adds over the peak GEMM rate."""
    return least_work(program) / peak_gemm_rate()


def least_work(program: Any) -> int:
    """Least multiply-adds of one scan of one sequence."""
    return sum(sum(_least_work(e).values()) for e in program.engines)


def shape_floor_seconds(program: Any) -> float:
    """Least time per sequence with each op at the rate its shape allows, or at memory speed."""
    return sum(_engine_floor(e, e.context.batch_size) for e in program.engines)


def _engine_floor(engine: Any, sequences: int) -> float:
    graph, rows, count = engine.graph, engine.tiling.rows(sequences), engine.ranges.count
    work, total = _least_work(engine), 0.0
    for node in graph.nodes(Section.TILE):
        traffic = 4 * count * stored_size(node)
        if rule_of(node).contraction:
            macs = _work_of(graph, node, work)
            shape = _gemm_shape(node, rows) if weights_of(node) is not None else _whole_shape(node, rows, macs / count)
            compute = macs / gemm_rate(*shape) if macs else 0.0
            total += max(compute, traffic / bandwidth())
        elif rule_of(node).elementwise:
            continue  # fused into its neighbours
        else:
            total += traffic / bandwidth()
    return total


def _least_work(engine: Any) -> dict[str, int]:
    """Least multiply-adds of all change ranges together, by op of the reference."""
    graph, count = engine.graph, engine.ranges.count
    return {n.name: int(delta_multiply_adds(n, count).sum()) for n in graph.nodes(Section.REFERENCE)}


def _work_of(graph: Graph, node: Node, work: dict[str, int]) -> int:
    """Multiply-adds of the reference op that a tile op stands for: same op, same kernel."""
    kernel = node.operands[1]
    twins = [
        n
        for n in graph.nodes(Section.REFERENCE)
        if n.op == node.op and n.layer == node.layer and n.operands[1] is kernel
    ]
    return work[twins[0].name] if twins else 0


def _gemm_shape(node: Node, rows: int) -> tuple[int, int, int]:
    """Rows, inner length and columns of a contraction as one product."""
    geometry, shape = geometry_of(node), kernel_shape(node)
    if geometry.kind is Contraction.POSITIONS:
        return rows * shape.out_width, shape.width // shape.out_width, shape.filters
    inner = geometry.channels * geometry.groups
    return rows * shape.width, inner, geometry.taps * geometry.filters // geometry.groups


def _whole_shape(node: Node, rows: int, multiply_adds: float) -> tuple[int, int, int]:
    """The same of a contraction that computes its whole result, with so many multiply-adds a row."""
    filters = node.type.extent(node.type.rank - 1)
    positions = node.type.row_size // filters
    return rows * positions, max(int(multiply_adds / (positions * filters)), 1), filters
