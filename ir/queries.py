"""What an op's rule says about one node: its call, its effect on a window, where it moves positions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.kernels import KERNELS, Geometry, KernelSpec
from fastism_compiler.ir.node import GraphView, Node
from fastism_compiler.ir.ops import COMPOSER_OPS, RULES
from fastism_compiler.ir.ops.rule import Call, Effect, Moves, OpRule
from fastism_compiler.ir.position_map import PositionMap
from fastism_compiler.ir.ranges import ChangeRanges, Kept, around
from fastism_compiler.ir.types import FLOATS


def rule_of(node: Node) -> OpRule:
    """The rule of a node's op."""
    return RULES[node.op]


def call_of(node: Node) -> Call:
    """A node as its rule sees it."""
    return Call(node.attrs, tuple(o.type for o in node.operands), node.type)


def effect_on(node: Node, operand: int, axis: int) -> Effect:
    """What `node` does to a window on `axis` of one operand."""
    return rule_of(node).track(call_of(node), operand, axis)


def map_of(node: Node, operand: int, axis: int) -> PositionMap:
    """Where `node` moves the positions on `axis` of one operand.

    Raises:
        IRError: the op does not keep positions.
    """
    effect = effect_on(node, operand, axis)
    if not isinstance(effect, Moves):
        raise IRError("only an op that keeps positions maps them", got=f"{node.op}: {effect}", node=node)
    return effect.map


def needed_positions(node: Node, operand: int, axis: int) -> tuple[int, int]:
    """Positions `[start, stop)` on `axis` of an operand that `node` reads for those demanded of `node`."""
    effect = effect_on(node, operand, axis)
    if isinstance(effect, Moves) and node.facts.axis is not None and node.facts.demand is not None:
        return effect.map.needed(*node.facts.demand)
    return 0, node.operands[operand].type.extent(axis)


def frame_of(node: Node, ranges: ChangeRanges) -> ChangeRanges:
    """Of an `around` node: the wanted positions around each change, clipped to those that exist."""
    reach, stride, offset = (int(node.attrs[name]) for name in ("reach", "stride", "offset"))
    return around(ranges, reach, stride, offset).clip(0, node.type.extent(node.attrs["axis"]))


def needed_near(node: Node, operand: int, axis: int) -> ChangeRanges | None:
    """The positions of an operand that `node` reads for its wanted ones around each change; None: no limit."""
    effect, near = effect_on(node, operand, axis), node.facts.near
    if near is None or not isinstance(effect, Moves):
        return None
    lo, hi = effect.map.backward(near.lo, near.hi)
    lo, hi = (np.where(near.widths == 0, 0, end) for end in (lo, hi))
    return ChangeRanges(lo, hi).clip(0, node.operands[operand].type.extent(axis))


def wanted(node: Node, ranges: ChangeRanges) -> ChangeRanges:
    """The part of each change of a node that some output needs."""
    near, demand = node.facts.near, node.facts.demand
    ranges = ranges if demand is None else ranges.clip(*demand)
    return ranges if near is None else ranges.cut(near.lo, near.hi)


def read_in_place(node: Node, operand: int) -> Kept | None:
    """The part of a reference value that a tile node reads: where its own rows are stored, or the nearest position.

    None where it reads the value elsewhere too.
    """
    carrier = node.facts.carrier
    if operand not in rule_of(node).in_place or carrier is None:
        return None
    axis, length = node.window.axis, node.window.length
    first, last = np.clip([carrier.start.min(), carrier.stop.max() - 1], 0, length - 1)
    return Kept(axis, int(first), int(last) + 1)


def states_read(node: Node) -> Kept:
    """Of the running tables of an aggregation, the states that it reads: in front of its windows, and behind them."""
    window, carrier = node.operands[0].window, node.operands[0].carrier
    first, last = np.clip([carrier.start.min(), carrier.stop.max()], 0, window.length)
    return Kept(window.axis, int(first), int(last) + 1)


def is_linear(node: Node, changed: list[bool]) -> bool:
    """Whether deltas of these operands pass `node` without the reference."""
    return rule_of(node).linear(call_of(node), changed)


def geometry_of(node: Node) -> Geometry:
    """The sizes of a contraction that runs on deltas.

    Raises:
        IRError: the op has no geometry.
    """
    geometry, rows = rule_of(node).geometry, node.operands[0]
    if geometry is None:
        raise IRError("only a contraction that runs on deltas has a geometry", got=node.op, node=node)
    return geometry(call_of(node), rows.window.axis if rows.has_window else None)


def kernels_for(node: Node) -> tuple[str, ...]:
    """The kernels that compute a contraction."""
    kind = geometry_of(node).kind
    return tuple(name for name, spec in KERNELS.items() if kind in spec.computes)


def kernel_of(node: Node) -> KernelSpec | None:
    """The kernel that `select-kernels` chose; None for anything but a contraction on deltas."""
    return KERNELS[node.facts.kernel] if node.facts.kernel is not None else None


def weights_of(node: Node) -> Node | None:
    """The weights of a contraction on deltas; None for an average, which has none, and for other ops."""
    return node.operands[1] if node.facts.kernel is not None and len(node.operands) > 1 else None


def composed_maps(node: Node) -> Iterator[tuple[PositionMap, PositionMap, tuple[int, int]]]:
    """For each composed pair, last first: both position maps, and the outputs `[start, stop)` of the second to make.

    Yields nothing for other nodes.
    """
    if len(node.operands) < 2 or node.operands[1].op not in COMPOSER_OPS:
        return
    weights, length, demand = node.operands[1], node.window.length, node.facts.demand or (0, node.window.length)
    while weights.op in COMPOSER_OPS:
        kernels, dilations, pads = weights.operands, weights.attrs["dilations"], weights.attrs["pads"]
        taps = [kernel.type.extent(0) for kernel in kernels]
        between = length - sum(pads[1]) + (taps[1] - 1) * dilations[1]
        before = between - sum(pads[0]) + (taps[0] - 1) * dilations[0]
        first = PositionMap(before, between, dilation=dilations[0], taps=taps[0], pad=pads[0][0])
        second = PositionMap(between, length, dilation=dilations[1], taps=taps[1], pad=pads[1][0])
        yield first, second, demand
        weights, length, demand = kernels[0], between, second.needed(*demand)


def hiding_faults(graph: GraphView, section: Section) -> list[Node]:
    """Nodes whose result may hide a NaN, or a float beyond the range of its integers.

    Only their first operand shows it. A NaN counts only where the node, or one before it in its section, may make it.
    """
    suspect: set[Node] = set()
    hiding = []
    for node in graph.nodes(section):
        rule = rule_of(node)
        may_be_nan = any(o in suspect for o in node.operands) or rule.makes_non_finite
        if may_be_nan:
            suspect.add(node)
        if (may_be_nan and rule.drops_nan) or (rule.whole_range and _to_whole_numbers(node)):
            hiding.append(node)
    return hiding


def _to_whole_numbers(node: Node) -> bool:
    return node.operands[0].type.dtype in FLOATS and node.type.dtype not in (*FLOATS, "bool")
