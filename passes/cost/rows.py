"""What one row of a tile costs: multiply-adds, and bytes between steps."""

from __future__ import annotations

from collections import defaultdict, deque

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
    on_deltas, total = delta_ops(graph), 0.0
    for node in _changing(graph):
        total += float(np.mean(delta_multiply_adds(node, count))) * kernel_share(on_deltas.get(node))
    return max(total, 1.0)


def kernel_share(node: Node | None) -> float:
    """Multiply-adds of a tile op's kernel, over those of every position with every tap: below 1 for `winograd`."""
    spec = None if node is None else kernel_of(node)
    if node is None or spec is None or not spec.spares_products:
        return 1.0
    shape = kernel_shape(node)
    return spec.multiply_adds(shape) / (shape.width * shape.taps * shape.channels * shape.filters)


def delta_ops(graph: Graph) -> dict[Node, Node]:
    """By op of the reference: the tile op that stands for it, where one with arithmetic runs on deltas."""

    def call(node: Node) -> tuple[object, ...]:
        return node.op, node.layer, *node.operands[1:]

    waiting: defaultdict[tuple[object, ...], deque[Node]] = defaultdict(deque)
    for node in graph.nodes(Section.TILE):
        if rule_of(node).contraction and node.facts.form is Form.DELTA:
            waiting[call(node)].append(node)
    # the calls of a shared layer are alike, and come in the same order in both sections
    return {n: waiting[call(n)].popleft() for n in _changing(graph) if waiting[call(n)]}


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
    """Elements one row of a tile node takes."""
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
        # the rows that changes reach: which others are read with them is not known yet in `place-windows`
        changed = min(max(node.operands[0].window.ranges.max_width, 1), weights.type.extent(0))
        return changed * weights.type.extent(1)
    arranged = spec.arranged(kernel_shape(node)) if spec is not None else 0
    return arranged or sum(o.type.row_size for o in node.operands[1:] if not o.in_tile and not o.type.batched)
