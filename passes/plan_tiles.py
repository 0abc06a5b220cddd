"""plan-tiles: where each window is stored, where rows must be shifted, how rows form tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np
from fastism_compiler.ir.facts import Form, Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.queries import map_of, rule_of
from fastism_compiler.ir.ranges import Carrier, ChangeRanges, Window
from fastism_compiler.ir.tiling import Tiling, cheapest_rows
from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.cost.rows import ITEM_BYTES, lowering, row_bytes, row_work
from fastism_compiler.passes.select_kernels import GATHER_GEMM, KERNEL_ROWS, SCATTER_GEMM, WINOGRAD, arranged

_SLACK = 1.25
"""A stored window may be this much wider than its change range before its rows are shifted."""
_MORE_PARTS = 4
"""Parts of a kernel's slice may be this much smaller than need be, for all to be equal."""
_TILE_STARTS = 300
"""Small operations in the time that starting a tile takes (0.2 ms; DeepSTARR, nine tiles of 32 rows: 4.6 ms)."""
_LANE_TILE_STARTS = 50
"""The same where another lane works meanwhile (BPNet: tiles of 2 rows, 23 million multiply-adds each, are faster
than of 17; SpliceAI: of 2 rows than of 1 or 3)."""
_WEIGHTS = 1.44
"""Bytes moved for each byte of weights that a tile reads: it is packed for the product too."""
SAVED_IN_CACHE = 0.36
"""Part of the time of reading from memory that is saved by staying in the caches, one of a core and one that cores
share (SpliceAI takes 0.85 s a sequence with two rows, which they nearly hold, and 1.31 s with 28; scBasset takes less
with 256 rows, which they do not hold, than with 44)."""


@dataclass(frozen=True)
class PlanTilesPass(Pass):
    """Choose carriers, insert `realign`, group ranges and choose rows per tile.

    1. Forward: a delta is stored where its op naturally leaves it (starts may
       overhang the sequence; deltas are 0 there). A carrier that grew far
       beyond its change range, or beyond the sequence, is pulled inside.
       `gather-gemm` computes the change range and nothing else.
    2. Backward through by-value segments: a pool needs phase-aligned values,
       so the slice-assign in front of it is made wide enough.
    3. A Dense over a flattened window needs one start per tile: starts are
       rounded down, and ranges of equal start form a group. A slice of the
       kernel that no cache holds is read in parts.
    4. Where an op reads rows on another carrier than they are stored on, a
       `realign` node goes between. Windows that are outputs are pulled inside.
    5. A tile has the rows at which starting tiles, reading weights for each,
       and leaving the caches cost least together.
    """

    name: ClassVar[str] = "plan-tiles"
    kind: ClassVar[Kind] = Kind.TRANSFORM
    requires: ClassVar[tuple[str, ...]] = ("select-kernels",)

    def run(self, graph: Graph, context: Context) -> None:
        for node in graph.nodes(Section.TILE):
            _place(graph, node, context.ranges)
        for node in reversed(graph.nodes(Section.TILE)):
            _widen_operands(node)
        for node in graph.nodes(Section.TILE):
            _align_operands(graph, node, context)
        graph.tile_outputs = [_output_inside(graph, node) for node in graph.tile_outputs]
        graph.tiling = _tiling(graph, context)


def window_operands(node: Node) -> list[tuple[int, Node]]:
    """The tile operands that are stored as windows, with their positions."""
    return [(i, o) for i, o in enumerate(node.operands) if o.in_tile and o.has_window]


# 1. Forward


def _place(graph: Graph, node: Node, ranges: ChangeRanges) -> None:
    state = node.facts.state
    if not isinstance(state, Window):
        return
    if node.op == "input_delta":
        node.facts.carrier = Carrier(np.minimum(ranges.lo, state.length - ranges.max_width), ranges.max_width)
        return
    if node.facts.kernel == GATHER_GEMM:
        node.facts.carrier = Carrier.inside(state.length, max(state.ranges.max_width, 1), state.ranges)
        return
    node.facts.carrier = reduce(Carrier.hull, _arriving(node))
    if node.facts.form is Form.DELTA:
        _pull_inside(graph, node, state)


def _arriving(node: Node) -> list[Carrier]:
    if node.op == "reference_window":
        return [node.operands[1].carrier]
    return [o.carrier.forward(map_of(node, i, o.window.axis)) for i, o in window_operands(node)]


def _pull_inside(graph: Graph, node: Node, state: Window) -> None:
    """Realign a delta whose carrier outgrew its change range or the sequence."""
    width = max(state.ranges.max_width, 1)
    if node.carrier.width <= state.length and node.carrier.width <= _SLACK * width:
        return
    inside = Carrier.inside(state.length, width, state.ranges)
    _insert_realign(graph, node, node.users, inside)


# 2. Backward


def _widen_operands(node: Node) -> None:
    """Make by-value operands cover what `node` reads."""
    carrier = node.facts.carrier
    if carrier is None or node.op == "reference_window":
        return
    for i, operand in window_operands(node):
        if operand.facts.form is not Form.DELTA:
            needed = carrier.backward(map_of(node, i, operand.window.axis))
            operand.facts.carrier = operand.carrier.hull(needed)


# 3. and 4. Alignment


def _align_operands(graph: Graph, node: Node, context: Context) -> None:
    """Put a `realign` in front of every window operand stored elsewhere than `node` reads it."""
    if node.op in ("realign", "reference_window", "materialise"):
        return
    for i, operand in window_operands(node):
        if node.facts.kernel == KERNEL_ROWS:
            needed = _shared_carrier(graph, node, operand, context)
            _insert_realign(graph, operand, [node], needed, shared=True)
            node.facts.parts = _parts(needed, node.operands[1], context)
            continue
        needed = _needed_carrier(node, i, operand)
        if not needed.same_as(operand.carrier):
            made = _insert_realign(graph, operand, [node], needed, only_position=i)
            made.facts.state = _read_part(made.window, needed)


def _output_inside(graph: Graph, node: Node) -> Node:
    """An output of a sparse program, stored within its positions, as narrow as its changes."""
    if not node.has_window:
        return node
    state = node.window
    inside = Carrier.inside(state.length, max(state.ranges.max_width, 1), state.ranges)
    return node if node.carrier.same_as(inside) else _insert_realign(graph, node, [], inside)


def _needed_carrier(node: Node, position: int, operand: Node) -> Carrier:
    """The carrier on which `node` reads an operand."""
    stored, carrier = operand.carrier, node.facts.carrier
    if carrier is None:
        return stored
    position_map = map_of(node, position, operand.window.axis)
    if rule_of(node).contraction and position_map.stride == 1 and node.facts.kernel != GATHER_GEMM:
        return stored
    if position_map.scatter and stored.forward(position_map).same_as(carrier):
        return stored
    return carrier.backward(position_map)


def _insert_realign(
    graph: Graph,
    rows: Node,
    users: Sequence[Node],
    carrier: Carrier,
    *,
    shared: bool = False,
    only_position: int | None = None,
) -> Node:
    """Put a `realign` of `rows` onto `carrier` between it and `users`."""
    made = graph.add("realign", [rows], layer=rows.layer, section=Section.TILE, name=rows.name)
    source, facts = rows.facts, made.facts
    facts.form, facts.state, facts.axis = source.form, source.state, source.axis
    facts.segment, facts.layer_class = source.segment, source.layer_class
    facts.carrier, facts.shared_start = carrier, shared
    for user in users:
        for position, operand in enumerate(user.operands):
            if operand is rows and only_position in (None, position):
                graph.set_operand(user, position, made)
    return made


def _read_part(state: Window, carrier: Carrier) -> Window:
    """The changes that a strided op reads; it may skip the others."""
    lo, hi = np.maximum(state.ranges.lo, carrier.start), np.minimum(state.ranges.hi, carrier.stop)
    empty = hi <= lo
    return Window(state.axis, ChangeRanges(np.where(empty, 0, lo), np.where(empty, 0, hi)), state.length)


def _shared_carrier(graph: Graph, node: Node, operand: Node, context: Context) -> Carrier:
    """Starts rounded down so that many ranges share one, at the least cost per row.

    A wider carrier costs arithmetic in this Dense; a small group costs rows
    of padding, and those run through the whole tile.
    """
    state, stored = operand.window, operand.carrier
    unit = int(np.gcd.reduce(stored.start)) or 1
    width = max(min(stored.width, state.length), 1)
    per_position = node.operands[1].type.extent(1)
    elsewhere = row_work(graph, context.ranges.count)
    overhead = _overhead_rows(graph, context)
    best: tuple[float, Carrier] | None = None
    step = unit
    while True:
        wide = min(width + step - unit, state.length)
        carrier = stored.moved_inside(state.length, wide, step)
        sizes = np.unique(carrier.start, return_counts=True)[1] * context.batch_size
        cost = (elsewhere + wide * per_position) * cheapest_rows(sizes, context.machine.tile_rows, overhead)[1]
        if best is None or cost < best[0]:
            best = (cost, carrier)
        if wide == state.length:
            return best[1]
        step *= 2


def _parts(carrier: Carrier, kernel: Node, context: Context) -> int:
    """Equal parts of a kernel's slice that are small enough; one where it is not cut out, or cannot be divided."""
    if context.slice_bytes is None or carrier.spans(kernel.type.extent(0)):
        return 1
    fewest = -(-carrier.width * kernel.type.extent(1) * ITEM_BYTES // context.slice_bytes)
    return next((n for n in range(fewest, _MORE_PARTS * fewest) if carrier.width % n == 0), 1)


# 5. Tiles


def _tiling(graph: Graph, context: Context) -> Tiling:
    starts = [n.carrier.start for n in graph.nodes(Section.TILE) if n.facts.shared_start]
    groups = _labels(starts, context.ranges.count)
    widest = max((row_bytes(n) for n in graph.nodes(Section.TILE)), default=1)
    overhead = _overhead_rows(graph, context)
    saved = SAVED_IN_CACHE * context.machine.per_byte * _row_traffic(graph) / row_work(graph, context.ranges.count)

    def best(most: int, *caches: int | None) -> int:
        """Rows at which starting tiles, and reading what caches do not hold, cost least together."""
        return min(range(1, most + 1), key=lambda n: overhead / n + saved * spilled(n * widest, caches))

    most = best(_rows_of(context, widest), context.shared_cache)
    return Tiling(groups, widest, most, best(most, context.shared_cache, context.core_cache), overhead)


def spilled(size: int, caches: Sequence[int | None]) -> float:
    """Part of a tile that a cache does not hold, on average over the caches that count."""
    parts = [max(1 - cache / size, 0) for cache in caches if cache is not None]
    return sum(parts) / max(len(parts), 1)


def _rows_of(context: Context, row: int) -> int:
    """Rows of a tile that memory allows, one at least."""
    return int(np.clip(context.tile_bytes // max(row, 1), 1, context.machine.tile_rows))


def _overhead_rows(graph: Graph, context: Context) -> float:
    """What starting a tile costs, in rows: operations that wait for each other, and weights read anew."""
    weights = sum(_weights_read(n) for n in graph.nodes(Section.TILE) if rule_of(n).contraction)
    machine, starts = context.machine, _TILE_STARTS if context.core_cache is None else _LANE_TILE_STARTS
    work = starts * machine.per_start + _WEIGHTS * machine.per_byte * ITEM_BYTES * weights
    return work / row_work(graph, context.ranges.count)


def _weights_read(node: Node) -> int:
    """Elements of its parameters that one tile of a linear op reads."""
    if node.facts.kernel == KERNEL_ROWS:
        rows, kernel = node.operands
        return min(max(rows.window.ranges.max_width, 1), kernel.type.extent(0)) * kernel.type.extent(1)
    if node.facts.kernel in (SCATTER_GEMM, WINOGRAD):
        return arranged(lowering(node))
    parameters = [o for o in node.operands[1:] if o.section is Section.REFERENCE and not o.type.batched]
    return sum(o.type.row_size for o in parameters)


def _labels(starts: list[Table], count: int) -> Table:
    """Equal labels for ranges whose shared starts are all equal."""
    if not starts:
        return np.zeros(count, dtype=np.int64)
    labels = np.unique(np.stack(starts, axis=1), axis=0, return_inverse=True)[1]
    return labels.reshape(-1).astype(np.int64)


def _row_traffic(graph: Graph) -> int:
    """Bytes that all steps of one row write and read; element-wise ones are fused into others."""
    return sum(row_bytes(n) for n in graph.nodes(Section.TILE) if not rule_of(n).elementwise)
