"""What an op's rule says about one node: its call, its effect on a window, where it moves positions."""

from __future__ import annotations

from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.kernels import KERNELS, Geometry, KernelSpec
from fastism_compiler.ir.node import GraphView, Node
from fastism_compiler.ir.ops import RULES
from fastism_compiler.ir.ops.rule import Call, Effect, Moves, OpRule
from fastism_compiler.ir.position_map import PositionMap


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
    """The positions on `axis` of an operand that `node` reads for those demanded of itself."""
    effect = effect_on(node, operand, axis)
    if isinstance(effect, Moves) and node.facts.axis is not None and node.facts.demand is not None:
        return effect.map.needed(*node.facts.demand)
    return 0, node.operands[operand].type.extent(axis)


def is_linear(node: Node, changed: list[bool]) -> bool:
    """Whether deltas of these operands pass `node` without the reference."""
    return rule_of(node).linear(call_of(node), changed)


def geometry_of(node: Node) -> Geometry:
    """The sizes of a contraction that runs on deltas.

    Raises:
        IRError: the op is none.
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
    """The kernel that `select-kernels` chose; None for what runs by value, or whole."""
    return KERNELS[node.facts.kernel] if node.facts.kernel is not None else None


def weights_of(node: Node) -> Node | None:
    """What a contraction on deltas multiplies them with; None for an average, which only adds, and for other ops."""
    return node.operands[1] if node.facts.kernel is not None and len(node.operands) > 1 else None


def hiding_nan(graph: GraphView, section: Section) -> list[Node]:
    """Nodes that leave NaN out of their result, behind an op of their section that may make one.

    Whether their result can be trusted shows in their first operand only.
    """
    suspect: set[Node] = set()
    hiding = []
    for node in graph.nodes(section):
        rule = rule_of(node)
        if any(o in suspect for o in node.operands) or rule.makes_non_finite:
            suspect.add(node)
            if rule.drops_nan:
                hiding.append(node)
    return hiding
