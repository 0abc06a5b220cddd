"""What one row of a tile costs: multiply-adds, and bytes between steps."""

from __future__ import annotations

import numpy as np
from fastism_compiler.ir.arithmetic import delta_multiply_adds
from fastism_compiler.ir.facts import Form, Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.kernels import KernelShape
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import geometry_of, kernel_of, rule_of, weights_of
from fastism_compiler.ir.ranges import Window

ITEM_BYTES = 4
"""Bytes of a number: what is planned for is float32."""


def row_work(graph: Graph, count: int) -> float:
    """Multiply-adds of one of `count` mutations, on average, as the kernels do them."""
    on_deltas = delta_ops(graph)
    return max(sum(op_work(n, on_deltas.get(n), count) for n in _changing(graph)), 1.0)


def op_work(node: Node, on_deltas: Node | None, count: int) -> float:
    """Multiply-adds of an op of the reference for one of `count` mutations, on average, as the kernel does them.

    Of composed convolutions, the last has the cost of all, the others 0.
    """
    if on_deltas is None:
        return float(np.mean(delta_multiply_adds(node, count)))
    if on_deltas.facts.ops[-1] != node.name:
        return 0.0
    runs = node if len(on_deltas.facts.ops) == 1 else on_deltas
    return float(np.mean(delta_multiply_adds(runs, count))) * kernel_share(on_deltas)


def kernel_share(node: Node) -> float:
    """Multiply-adds of a tile op's kernel, over those of every position with every tap: below 1 for `winograd`."""
    spec = kernel_of(node)
    if spec is None or not spec.spares_products:
        return 1.0
    shape = kernel_shape(node)
    return spec.multiply_adds(shape) / (shape.width * shape.taps * shape.channels * shape.filters)


def delta_ops(graph: Graph) -> dict[Node, Node]:
    """Reference op with arithmetic -> the tile op that computes it on deltas, if there is one.

    A composed convolution stands for all of its ops, except those that also run alone.
    """
    tile = [n for n in graph.nodes(Section.TILE) if n.facts.ops and n.facts.form is Form.DELTA]
    inner = {name: n for n in tile for name in n.facts.ops[:-1]}
    found = inner | {n.facts.ops[-1]: n for n in tile}
    return {n: found[n.name] for n in _changing(graph) if n.name in found}


def _changing(graph: Graph) -> list[Node]:
    """Ops of the reference that some mutation changes, and that have arithmetic."""
    nodes = graph.nodes(Section.REFERENCE)
    return [n for n in nodes if rule_of(n).contraction and n.changes]


def row_bytes(node: Node) -> int:
    """Memory for one row of `node`, its operands, and its kernel's scratch space."""
    total = stored_size(node) + sum(stored_size(o) for o in node.operands if o.in_tile)
    spec = kernel_of(node)
    return ITEM_BYTES * (total + (spec.scratch(kernel_shape(node)) if spec else 0))


def kernel_shape(node: Node) -> KernelShape:
    """The shape at which a tile op's kernel runs for one row, as its windows are stored."""
    g = geometry_of(node)
    width, out_width = stored_size(node.operands[0]) // (g.channels * g.groups), stored_size(node) // g.filters
    return KernelShape(1, width, out_width, g.taps, g.channels, g.filters, g.dilation, g.stride)


def stored_size(node: Node) -> int:
    """Number of elements that one row of a tile node stores."""
    state, carrier = node.facts.state, node.facts.carrier
    if isinstance(state, Window) and carrier is not None:
        return node.type.row_size // state.length * carrier.width
    return node.type.row_size


def stored_work(node: Node) -> int:
    """Multiply-adds of a tile op on one stored row, whatever part of it has changed; 0 where it has no kernel."""
    spec = kernel_of(node)
    return spec.multiply_adds(kernel_shape(node)) if spec else 0


def weights_read(node: Node) -> int:
    """Elements of its weights that a contraction of the tile reads once per tile."""
    spec, weights = kernel_of(node), weights_of(node)
    if spec is not None and spec.contracts_positions and weights is not None:
        # only the rows that changes reach: `place-windows` asks before it knows which others are read with them
        changed = min(max(node.operands[0].window.ranges.max_width, 1), weights.type.extent(0))
        return changed * weights.type.extent(1)
    arranged = spec.arranged(kernel_shape(node)) if spec is not None else 0
    return arranged or sum(o.type.row_size for o in node.operands[1:] if not o.in_tile and not o.type.batched)
