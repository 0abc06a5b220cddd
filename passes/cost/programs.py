"""What the model itself costs, and a mutation in a program: arithmetic and traffic, both in multiply-adds."""

from __future__ import annotations

from fastism_compiler.ir.arithmetic import naive_total, reference_total
from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops import COMPOSER_OPS
from fastism_compiler.ir.queries import rule_of
from fastism_compiler.passes.base import Context
from fastism_compiler.passes.cost.kernels import composing_cost
from fastism_compiler.passes.cost.rows import ITEM_BYTES, row_bytes, row_work, stored_work
from fastism_compiler.passes.cost.tiles import spilled


def naive_cost(graph: Graph, context: Context) -> float:
    """One forward pass of one sequence, in multiply-adds."""
    written = _written(graph) + ITEM_BYTES * graph.dropped.elements
    return naive_total(graph) + _memory_cost(context.cost.passes * written, context)


def reference_cost(graph: Graph, context: Context) -> float:
    """One reference pass of one sequence, in multiply-adds; it is compiled, so results are written once.

    Includes its share of composing kernels once a block.
    """
    nodes = graph.nodes(Section.REFERENCE)
    composing = sum(composing_cost(n, context) for n in nodes if n.op in COMPOSER_OPS)
    return reference_total(graph) + _memory_cost(_written(graph), context) + composing / context.batch_size


def row_cost(graph: Graph, context: Context) -> float:
    """One row of a tile, in multiply-adds: windows as they are stored, and values recomputed whole."""
    nodes = graph.nodes(Section.TILE)
    work = max(sum(stored_work(n) for n in nodes), row_work(graph, context.ranges.count))
    moved = sum(_moved(n, context) for n in nodes)
    saved = context.cost.saved_in_cache * context.machine.per_byte * moved * _near(graph, context)
    return work + _memory_cost(moved, context) - saved


def tile_cost(graph: Graph, context: Context) -> float:
    """One mutation, in multiply-adds, with its share of the weights that its tile reads and of the reference pass."""
    weights = sum(_weights(n) for n in graph.nodes(Section.TILE))
    rows = graph.tiling.rows(context.batch_size) if graph.tiling else 1
    shared = _memory_cost(ITEM_BYTES * weights / rows, context) + reference_cost(graph, context) / context.ranges.count
    return row_cost(graph, context) + shared


def _near(graph: Graph, context: Context) -> float:
    """Fraction of a tile that a core's cache holds."""
    tiling = graph.tiling
    if tiling is None or context.core_cache is None:
        return 0.0
    return 1 - spilled(tiling.rows(context.batch_size) * tiling.row_bytes, [context.core_cache])


def _memory_cost(moved: float, context: Context) -> float:
    """Cost of moving bytes of results, in multiply-adds."""
    return context.cost.from_memory * context.machine.per_byte * moved


def _written(graph: Graph) -> int:
    """Bytes of the results that some mutation changes; element-wise ops count as passes over these."""
    changing = [n for n in graph.nodes(Section.REFERENCE) if n.changes]
    return sum(ITEM_BYTES * n.type.row_size for n in changing if not rule_of(n).elementwise)


def _moved(node: Node, context: Context) -> float:
    """Bytes that one step of a tile reads and writes for one row."""
    fused = node.has_window or rule_of(node).tile
    if fused and not context.jit:
        return context.cost.unfused * row_bytes(node)
    if rule_of(node).elementwise:
        return 0
    return row_bytes(node) if fused else context.cost.passes * ITEM_BYTES * node.type.row_size


def _weights(node: Node) -> int:
    """Parameters that one tile reads for a node; a dense kernel counts whole.

    With `rows.weights_read`, which counts the slice, predictions come no closer
    to what was measured (`python -m benchmarks.predictions`).
    """
    return sum(o.type.row_size for o in node.operands if o.section is Section.REFERENCE and not o.type.batched)
