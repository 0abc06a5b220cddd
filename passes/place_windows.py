"""place-windows: where each window is stored, and where rows must be shifted to be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import ClassVar

import numpy as np
from fastism_compiler.ir.checks import is_stored, reads_where_stored
from fastism_compiler.ir.facts import Form, Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.position_map import ceil_div
from fastism_compiler.ir.queries import kernel_of, map_of, rule_of, weights_of
from fastism_compiler.ir.ranges import Carrier, Window
from fastism_compiler.ir.tiling import cheapest_rows
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.cost.rows import ITEM_BYTES, row_work
from fastism_compiler.passes.cost.tiles import overhead_rows


@dataclass(frozen=True)
class PlaceWindowsPass(Pass):
    """Choose carriers, and insert `realign`.

    1. Forward: a delta is stored where its op puts it (carriers may overhang the
       sequence; deltas are 0 there). A carrier that grew far beyond its change
       range, or beyond the sequence, is cut to the change range. Kernels with
       `reads_only_changes` compute the change range and nothing else.
    2. Backward through by-value segments: a pool needs phase-aligned values,
       so the slice-assign in front of it is made wide enough.
    3. A Dense over a flattened window needs one start per tile: starts are
       rounded down, so that many ranges share one. A slice of the kernel that
       no cache holds is read in parts.
    4. Where an op reads rows on another carrier than they are stored on, a
       `realign` node goes between. Outputs on deltas are cut to their change range.
    """

    name: ClassVar[str] = "place-windows"
    kind: ClassVar[Kind] = Kind.TRANSFORM
    requires: ClassVar[tuple[str, ...]] = ("select-kernels",)
    ensures: ClassVar[StageSpec] = StageSpec(tile=(is_stored, reads_where_stored))

    def run(self, graph: Graph, context: Context) -> None:
        for node in graph.nodes(Section.TILE):
            _place(graph, node, context)
        for node in reversed(graph.nodes(Section.TILE)):
            _widen_operands(node)
        for node in graph.nodes(Section.TILE):
            _align_operands(graph, node, context)
        graph.tile_outputs = [_output_inside(graph, node) for node in graph.tile_outputs]


def _window_operands(node: Node) -> list[tuple[int, Node]]:
    """The tile operands that are stored as windows, with their indices among the operands."""
    return [(i, o) for i, o in enumerate(node.operands) if o.in_tile and o.has_window]


# 1. Forward


def _place(graph: Graph, node: Node, context: Context) -> None:
    state, spec, ranges = node.facts.state, kernel_of(node), context.ranges
    if not isinstance(state, Window):
        return
    if rule_of(node).enters:
        node.facts.carrier = Carrier(np.minimum(ranges.lo, state.length - ranges.max_width), ranges.max_width)
        return
    if spec is not None and spec.reads_only_changes:
        node.facts.carrier = Carrier.inside(state.length, max(state.ranges.max_width, 1), state.ranges)
        return
    node.facts.carrier = reduce(Carrier.hull, _arriving(node))
    if node.facts.form is Form.DELTA:
        _pull_inside(graph, node, state, context.cost.slack)


def _arriving(node: Node) -> list[Carrier]:
    """The carrier that each operand's rows reach; for a `shape_only` operand, its own."""
    only_places = rule_of(node).shape_only
    return [
        o.carrier if i in only_places else o.carrier.forward(map_of(node, i, o.window.axis))
        for i, o in _window_operands(node)
    ]


def _pull_inside(graph: Graph, node: Node, state: Window, slack: float) -> None:
    """Realign a delta whose carrier outgrew its change range or the sequence."""
    width = max(state.ranges.max_width, 1)
    if node.carrier.width <= state.length and node.carrier.width <= slack * width:
        return
    inside = Carrier.inside(state.length, width, state.ranges)
    _insert_realign(graph, node, node.users, inside)


# 2. Backward


def _widen_operands(node: Node) -> None:
    """Make by-value operands cover what `node` reads."""
    carrier = node.facts.carrier
    if carrier is None:
        return
    for i, operand in _window_operands(node):
        if operand.facts.form is not Form.DELTA and i not in rule_of(node).shape_only:
            needed = carrier.backward(map_of(node, i, operand.window.axis))
            operand.facts.carrier = operand.carrier.hull(needed)


# 3. and 4. Alignment


def _align_operands(graph: Graph, node: Node, context: Context) -> None:
    """Put a `realign` in front of every window operand stored elsewhere than `node` reads it."""
    if rule_of(node).any_carrier:
        return
    spec, weights = kernel_of(node), weights_of(node)
    for i, operand in _window_operands(node):
        if spec is not None and spec.contracts_positions and weights is not None:
            needed = _shared_carrier(graph, weights, operand, context)
            _insert_realign(graph, operand, [node], needed, shared=True)
            node.facts.parts = _parts(needed, weights, context)
            continue
        needed = _needed_carrier(node, i, operand)
        if not needed.same_as(operand.carrier):
            made = _insert_realign(graph, operand, [node], needed, only_position=i)
            made.facts.state = _read_part(made.window, needed)


def _output_inside(graph: Graph, node: Node) -> Node:
    """An output window of deltas, cut to its changes and moved inside the sequence; others stay as they are."""
    if not node.has_window or node.facts.form is not Form.DELTA:
        return node
    state = node.window
    inside = Carrier.inside(state.length, max(state.ranges.max_width, 1), state.ranges)
    return node if node.carrier.same_as(inside) else _insert_realign(graph, node, [], inside)


def _needed_carrier(node: Node, position: int, operand: Node) -> Carrier:
    """The carrier on which `node` reads an operand."""
    stored, carrier = operand.carrier, node.facts.carrier
    if carrier is None:
        return stored
    position_map, spec = map_of(node, position, operand.window.axis), kernel_of(node)
    if spec is not None and position_map.stride == 1 and not spec.reads_only_changes:
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
    facts.demand, facts.near = source.demand, source.near
    facts.segment, facts.layer_class = source.segment, source.layer_class
    facts.carrier, facts.shared_start = carrier, shared
    for user in users:
        for position, operand in enumerate(user.operands):
            if operand is rows and only_position in (None, position):
                graph.set_operand(user, position, made)
    return made


def _read_part(state: Window, carrier: Carrier) -> Window:
    """The changes that `carrier` stores: a strided op may skip others."""
    return Window(state.axis, state.ranges.cut(carrier.start, carrier.stop), state.length)


def _shared_carrier(graph: Graph, weights: Node, operand: Node, context: Context) -> Carrier:
    """Starts rounded down so that many ranges share one, at the least cost per row.

    A wider carrier costs arithmetic in this Dense; a small group costs rows
    of padding, and those run through the whole tile.
    """
    state, stored = operand.window, operand.carrier
    unit = int(np.gcd.reduce(stored.start)) or 1
    width = max(min(stored.width, state.length), 1)
    per_position = weights.type.extent(1)
    elsewhere = row_work(graph, context.ranges.count)
    overhead = overhead_rows(graph, context)
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


def _parts(carrier: Carrier, weights: Node, context: Context) -> int:
    """Number of equal, small enough parts of a slice of `weights`; 1 if all rows are read, or no division is even."""
    if context.slice_bytes is None or carrier.spans(weights.type.extent(0)):
        return 1
    fewest = ceil_div(carrier.width * weights.type.extent(1) * ITEM_BYTES, context.slice_bytes)
    return next((n for n in range(fewest, context.cost.more_parts * fewest) if carrier.width % n == 0), 1)
