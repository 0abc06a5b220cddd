"""segment: which ops run on deltas, which by value, and which run as one unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastism_compiler.ir import queries
from fastism_compiler.ir.checks import has_segment
from fastism_compiler.ir.facts import Form, LayerClass
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.queries import rule_of
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass


@dataclass(frozen=True)
class SegmentPass(Pass):
    """Choose each changed value's form, and number the segments of one form.

    1. A nonlinear op, or a stop, makes values.
    2. A heavy linear op on a window (convolution, Dense, average) makes a
       delta: that is cheaper, and needs no reference. So does one that is right
       on deltas only (padding, reshape, concatenation).
    3. A light linear op (addition, scaling) keeps the form of its operands, so
       that `relu, scale, pool` is one by-value segment; but values turn into
       deltas in front of it when an op of rule 2 reads the result.
    4. Once a value is full, linear ops take it in the form it has.

    Segments are connected groups of one form; a segment number is the
    order in which its first op runs.
    """

    name: ClassVar[str] = "segment"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("propagate-ranges",)
    ensures: ClassVar[StageSpec] = StageSpec(reference=(has_segment,))

    def run(self, graph: Graph, context: Context) -> None:
        changed = [n for n in graph if n.changes]
        by_value = _read_by_value(changed)
        for node in changed:
            node.facts.form = _form(graph, node, by_value)
        _number(changed)


def _is_linear(node: Node) -> bool:
    """Whether deltas pass `node` without the reference, given which operands change."""
    if node.facts.layer_class is LayerClass.STOP or node.type.dtype == "bool":
        return False  # truth values have no difference
    return queries.is_linear(node, [o.changes for o in node.operands])


def _reads_window(node: Node) -> bool:
    return any(o.has_window for o in node.operands)


def _wants_delta(node: Node) -> bool:
    """Whether an op on a window is cheaper on its delta, or right only there."""
    rule = rule_of(node)
    aggregates = node.facts.layer_class is LayerClass.AGGREGATION
    return _is_linear(node) and (rule.contraction or rule.delta_only or aggregates) and _reads_window(node)


def _read_by_value(changed: list[Node]) -> set[Node]:
    """Nodes whose every user, through light linear ops, takes values."""
    by_value: set[Node] = set()
    for node in reversed(changed):
        users = [u for u in node.users if u.changes]
        if all(not _is_linear(u) or (not _wants_delta(u) and u in by_value) for u in users):
            by_value.add(node)
    return by_value


def _form(graph: Graph, node: Node, by_value: set[Node]) -> Form:
    if node is graph.sequence or _wants_delta(node):
        return Form.DELTA
    if not _is_linear(node):
        return Form.VALUE
    forms = {o.facts.form for o in node.changed_operands}
    if node.is_full:
        return Form.VALUE if Form.VALUE in forms else Form.DELTA
    return Form.VALUE if forms == {Form.VALUE} and node in by_value else Form.DELTA


def _number(changed: list[Node]) -> None:
    """Union operands and users of one form; then number the groups by first appearance."""
    leader: dict[Node, Node] = {}

    def find(node: Node) -> Node:
        while leader[node] is not node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    for node in changed:
        leader[node] = node
        for operand in node.changed_operands:
            if operand.facts.form is node.facts.form:
                leader[find(node)] = find(operand)
    numbers: dict[Node, int] = {}
    for node in changed:
        node.facts.segment = numbers.setdefault(find(node), len(numbers))
