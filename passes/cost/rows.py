"""What one row of a tile costs: multiply-adds, and bytes between steps."""

from __future__ import annotations

from collections import defaultdict, deque

import numpy as np
from fastism_compiler.ir.arithmetic import delta_multiply_adds
from fastism_compiler.ir.facts import Form, Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import rule_of
from fastism_compiler.ir.ranges import Window
from fastism_compiler.passes.base import Candidate
from fastism_compiler.passes.select_kernels import (
    GATHER_GEMM,
    SCATTER_GEMM,
    WINOGRAD,
    multiply_adds,
    pairing_of,
    scratch,
)

ITEM_BYTES = 4


def row_work(graph: Graph, count: int) -> float:
    """Multiply-adds of one of `count` mutations, on average, as the kernels do them."""
    on_deltas, total = delta_ops(graph), 0.0
    for node in _changing(graph):
        total += float(np.mean(delta_multiply_adds(node, count))) * kernel_share(on_deltas.get(node))
    return max(total, 1.0)


def kernel_share(node: Node | None) -> float:
    """Multiply-adds of a tile op's kernel, over those of every position with every tap: below 1 for `winograd`."""
    if node is None or node.facts.kernel != WINOGRAD:
        return 1.0
    pairing = pairing_of(lowering(node))
    return pairing.products / (pairing.width * pairing.taps)


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
    total = stored_size(node)
    for operand in node.operands:
        if operand.in_tile:
            total += stored_size(operand)
    if node.facts.kernel in (SCATTER_GEMM, WINOGRAD, GATHER_GEMM):
        total += scratch(lowering(node))
    return total * ITEM_BYTES


def lowering(node: Node) -> Candidate:
    """A convolution of the tile, with the kernel it has got, at the shape it runs at for one row."""
    rows, kernel = node.operands
    channels, filters = rows.type.extent(rows.type.rank - 1), node.type.extent(node.type.rank - 1)
    width, out_width = stored_size(rows) // channels, stored_size(node) // filters
    taps = kernel.type.row_size // (channels * filters)
    stride = node.attrs["stride"] if node.op == "conv_transpose" else 1
    dilation = node.attrs.get("dilation", 1)
    return Candidate(node.facts.kernel or "", 1, width, out_width, taps, channels, filters, dilation, stride)


def stored_size(node: Node) -> int:
    """Elements one row of a tile node takes."""
    state, carrier = node.facts.state, node.facts.carrier
    if isinstance(state, Window) and carrier is not None:
        return node.type.row_size // state.length * carrier.width
    return node.type.row_size


def stored_work(node: Node) -> int:
    """Multiply-adds of a linear op on one stored row, whatever part of it has changed."""
    if not rule_of(node).contraction or node.facts.form is not Form.DELTA:
        return 0
    rows, *parameters = node.operands
    if not parameters:  # sums of positions
        return stored_size(rows)
    kernel = parameters[0]
    if node.op == "dense":
        return stored_size(rows) * kernel.type.extent(1)
    if node.facts.kernel in (SCATTER_GEMM, WINOGRAD, GATHER_GEMM):
        return multiply_adds(lowering(node))
    return stored_size(rows) // rows.type.extent(rows.type.rank - 1) * kernel.type.row_size
