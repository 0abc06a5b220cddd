"""Checks: what may be wrong with one node, or with a graph; passes promise them (see `Pass.ensures`).

A check of a node reads the node, its operands, and the graph's sequence and
change ranges, nothing else: the verifier does not repeat it until one of
these has changed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from fastism_compiler.ir.composition import cut_by_edges
from fastism_compiler.ir.facts import Form, LayerClass
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops import MACRO_OPS, RULES, TILE_OPS, Moves
from fastism_compiler.ir.queries import (
    call_of,
    composed_maps,
    effect_on,
    is_linear,
    kernel_of,
    map_of,
    needed_near,
    needed_positions,
    read_in_place,
    rule_of,
    states_read,
    wanted,
)
from fastism_compiler.ir.ranges import Carrier, ChangeRanges, Constant, Full, Window

Check = Callable[[Node], str | None]
"""Says what is wrong with a node, or None."""
GraphCheck = Callable[[Graph], str | None]
"""Says what is wrong with a graph, or None."""


def is_well_formed(node: Node) -> str | None:
    """What must hold of every node, whatever passes have run."""
    if node.op not in RULES:
        return f"every op must have a rule; there is none for {node.op}"
    rule = rule_of(node)
    if rule.tile and not node.in_tile:
        return "slice-assign ops live in the tile section"
    if not node.in_tile and any(o.in_tile for o in node.operands):
        return "a reference node must not read a tile node"
    if rule.declared:
        return None
    inferred = rule.infer(call_of(node).operands, node.attrs)
    if inferred != node.type:
        return f"a node's type must be what its rule infers: {inferred}, not {node.type}"
    return None


# What the passes over the model promise of its nodes


def is_no_macro(node: Node) -> str | None:
    """Macro ops have been expanded."""
    return "a macro op is left" if node.op in MACRO_OPS else None


def has_class(node: Node) -> str | None:
    """Its class is known."""
    return "a node has no class" if node.facts.layer_class is None else None


def stop_has_reason(node: Node) -> str | None:
    """A stop says why it is one."""
    missing = node.facts.layer_class is LayerClass.STOP and not node.facts.stops
    return "a stop gives no reason" if missing else None


def has_demand(node: Node) -> str | None:
    """Where there are positions, those that the outputs need are known."""
    return "a node with positions has no demand" if node.facts.axis is not None and node.facts.demand is None else None


def operands_are_wanted(node: Node) -> str | None:
    """Around each change, a node needs only those positions of an operand that are wanted of it (`near`)."""
    for i, operand in enumerate(node.operands):
        near, axis = operand.facts.near, operand.facts.axis
        if near is None or axis is None or i in rule_of(node).shape_only:
            continue
        needed = needed_near(node, i, axis)
        if needed is None or not near.contains(needed):
            return f"more of %{operand.name} is needed around a change than is wanted of it"
    return None


def operands_are_demanded(node: Node) -> str | None:
    """A node needs only those positions of an operand that are demanded of it."""
    for i, operand in enumerate(node.operands):
        demand = operand.facts.demand
        if demand is None or operand.facts.axis is None or i in rule_of(node).shape_only:
            continue
        first, last = needed_positions(node, i, operand.facts.axis)
        if first < last and not demand[0] <= first < last <= demand[1]:
            return f"positions [{first}, {last}) of %{operand.name} are needed, [{demand[0]}, {demand[1]}) are demanded"
    return None


def has_range(node: Node) -> str | None:
    """Where it may differ from the reference is known: one range per change, within its positions."""
    state, every = node.facts.state, node.graph.ranges
    if state is None:
        return "a node has no change range"
    if isinstance(state, Window):
        if state.axis != node.facts.axis or state.length != node.type.extent(state.axis):
            return "a window lies on another axis or length than its node"
        if every is not None and state.ranges.count != every.count:
            return f"a window has {state.ranges.count} ranges for {every.count} changes"
        if (state.ranges.lo < 0).any() or (state.ranges.hi > state.length).any():
            return f"a change range leaves [0, {state.length})"
    return None


def range_holds_what_arrives(node: Node) -> str | None:
    """Its change range holds every change that reaches it from its operands, as far as anything downstream reads.

    Rows of the reference (`Form.REFERENCE`) never differ: their window only says which positions they are.
    """
    state = node.facts.state
    if isinstance(state, Full) or node.facts.form is Form.REFERENCE:
        return None
    if node is node.graph.sequence:
        return _holds(node, node.graph.ranges, "the changes of the sequence")
    for i, operand in enumerate(node.operands):
        arriving = operand.facts.state
        silent = isinstance(arriving, Constant) or operand.facts.form is Form.REFERENCE
        if silent or i in rule_of(node).shape_only:
            continue
        if not isinstance(state, Window) or not isinstance(arriving, Window):
            return f"%{operand.name}, which it reads, may change in {arriving}; the node states {state}"
        effect = effect_on(node, i, arriving.axis)
        if not isinstance(effect, Moves) or effect.axis != state.axis:
            return f"the node states a window, but does not keep the positions of %{operand.name}"
        complaint = _holds(node, arriving.ranges.through(effect.map), f"what %{operand.name} sends")
        if complaint:
            return complaint
    return None


def _holds(node: Node, arriving: ChangeRanges | None, what: str) -> str | None:
    """A window must hold `arriving`, cut to its demand and, with `any_carrier`, to what is stored."""
    if arriving is None:
        return None
    carrier = node.facts.carrier
    arriving = wanted(node, arriving.clip(0, node.window.length))
    if carrier is not None and rule_of(node).any_carrier:
        arriving = arriving.cut(carrier.start, carrier.stop)
    ranges = node.window.ranges
    if ranges.contains(arriving):
        return None
    return f"change range {ranges.describe()} does not hold {what}: {arriving.describe()}"


def has_segment(node: Node) -> str | None:
    """What changes belongs to a segment and has a form."""
    missing = node.changes and (node.facts.segment is None or node.facts.form is None)
    return "a changed node belongs to no segment" if missing else None


# What the passes over the tile section promise of its nodes


def has_form(node: Node) -> str | None:
    """How its rows are stored is known: as deltas or values, of a window or whole."""
    return "a tile node has no form" if node.facts.form is None or node.facts.state is None else None


def forms_agree(node: Node) -> str | None:
    """Operands have the form of the result, or are reference rows; ops that convert read the form they convert."""
    converts, shape_only = rule_of(node).converts, rule_of(node).shape_only
    forms = [o.facts.form for i, o in enumerate(node.operands) if o.in_tile and i not in shape_only]
    if converts is not None:
        legal = forms[:1] == [converts[0]] and node.facts.form is converts[1]
    else:
        legal = all(f in (node.facts.form, Form.REFERENCE) for f in forms)
    return None if legal else f"operands of forms {[str(f) for f in forms]} make a {node.facts.form}"


def deltas_meet_linear_ops(node: Node) -> str | None:
    """Only linear ops run on deltas."""
    if node.facts.form is not Form.DELTA or node.op in TILE_OPS:
        return None
    changed = [o.facts.form is Form.DELTA for o in node.operands]
    return None if is_linear(node, changed) else "a nonlinear op got a delta"


def no_edge_comes_between(node: Node) -> str | None:
    """Composed convolutions are exact: no change reaches past an end of the value between them."""
    for first, second, demand in composed_maps(node):
        cut = cut_by_edges(node.operands[0].window.ranges, first, second, demand)
        if cut.any():
            return f"an edge comes between convolutions that run as one, for change {int(np.argmax(cut))}"
    return None


def has_kernel(node: Node) -> str | None:
    """A contraction on deltas names a kernel."""
    needs = rule_of(node).contraction and node.facts.form is Form.DELTA
    return "a linear op has no kernel" if needs and node.facts.kernel is None else None


def is_stored(node: Node) -> str | None:
    """A window has a carrier, which covers whatever changes."""
    if not node.has_window:
        return None
    carrier = node.facts.carrier
    if carrier is None:
        return "a tile window has no carrier"
    if carrier.width < 1 or not carrier.covers(node.window.ranges):
        return f"carrier {carrier} does not cover change range {node.facts.state}"
    return None


def tables_hold_what_is_read(node: Node) -> str | None:
    """Of every reference value, the part that a tile node reads is kept."""
    for i, operand in enumerate(node.operands):
        rule, kept, read = rule_of(node), operand.facts.kept, read_in_place(node, i)
        if operand.in_tile or kept is None or rule.runs_on or i in rule.shape_only:
            continue
        if read is None or not kept.holds(read):
            return f"{read or 'all'} of %{operand.name} is read, {kept} is kept"
    kept = node.facts.kept
    if kept is not None and not kept.holds(states_read(node)):
        return f"states {states_read(node)} are read, {kept} are kept"
    return None


def reads_where_stored(node: Node) -> str | None:
    """Every operand is stored where the op reads it.

    1. Kernels of stride 1, and scatter ops, read rows as they are stored; the result is stored where these
       rows reach.
    2. Every other op, and kernels with `reads_only_changes`, read exactly the positions that the result
       depends on.
    3. An op with `any_carrier` finds every value that it keeps. A delta that is not stored is 0.
    """
    carrier = node.facts.carrier
    for i, operand in enumerate(node.operands):
        if carrier is None or not (operand.in_tile and operand.has_window) or i in rule_of(node).shape_only:
            continue
        stored = operand.carrier
        if rule_of(node).any_carrier:
            fits = operand.facts.form is Form.DELTA or _supplies(stored, carrier, operand.window.length)
        else:
            fits = _fits(node, i, operand, stored, carrier)
        if not fits:
            return f"%{operand.name} is stored on {stored}, which is not where a node on {carrier} reads it"
    return None


def _supplies(stored: Carrier, asked: Carrier, length: int) -> bool:
    """Whether every position of `asked` inside the sequence is stored."""
    inside = ChangeRanges(np.clip(asked.start, 0, length), np.clip(asked.stop, 0, length))
    return stored.covers(inside)


def _fits(node: Node, position: int, operand: Node, stored: Carrier, carrier: Carrier) -> bool:
    position_map = map_of(node, position, operand.window.axis)
    spec = kernel_of(node)
    as_stored = spec is not None and position_map.stride == 1 and not spec.reads_only_changes
    if as_stored or position_map.scatter:
        return stored.forward(position_map).same_as(carrier)
    return carrier.backward(position_map).same_as(stored)


# What passes promise of the graph


def outputs_are_demanded(graph: Graph) -> str | None:
    """Outputs with positions are demanded whole."""
    for node in (*graph.outputs, *graph.tile_outputs):
        axis, demand = node.facts.axis, node.facts.demand
        if axis is not None and demand is not None and demand != (0, node.type.extent(axis)):
            return f"output %{node.name} is demanded in [{demand[0]}, {demand[1]}) only"
    return None


def knows_ranges(graph: Graph) -> str | None:
    """The change ranges that windows belong to are known."""
    return "the graph does not say which change ranges it is for" if graph.ranges is None else None


def has_tile_outputs(graph: Graph) -> str | None:
    """There is one tile output for each output; of the same type, where outputs are per sequence."""
    outputs, tile = graph.outputs, graph.tile_outputs
    if len(tile) != len(outputs):
        return f"{len(tile)} tile outputs do not match {len(outputs)} outputs"
    for rows, node in zip(tile, outputs, strict=True):
        if rows.type != node.type and node.type.batched:
            return f"tile output %{rows.name} is {rows.type}, output %{node.name} is {node.type}"
    return None


def rows_share_starts(graph: Graph) -> str | None:
    """Ranges are grouped so that the rows of a tile store windows with `shared_start` from one position."""
    tiling = graph.tiling
    if tiling is None:
        return "there is no tiling"
    if graph.ranges is not None and len(tiling.groups) != graph.ranges.count:
        return f"{len(tiling.groups)} ranges are grouped, of {graph.ranges.count}"
    first = np.unique(tiling.groups, return_index=True, return_inverse=True)[1:]
    for node in graph:
        if node.in_tile and node.facts.shared_start:
            start = node.carrier.start
            if (start != start[first[0]][first[1].reshape(-1)]).any():
                return f"rows of one tile start %{node.name} at several positions"
    return None


def has_prediction(graph: Graph) -> str | None:
    """What the program is expected to gain is known."""
    return "there is no prediction" if graph.prediction is None else None
