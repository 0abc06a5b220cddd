"""Multiply-adds of the whole model, and the fewest that a change of each range needs."""

from __future__ import annotations

import numpy as np
from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops import Resumes, Stops
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.queries import call_of, effect_on, rule_of
from fastism_compiler.ir.ranges import Full, Window


def whole_multiply_adds(node: Node) -> int:
    """Multiply-adds of a contraction on one whole sequence; 0 for any other op."""
    rule = rule_of(node)
    if not rule.contraction:
        return 0
    effect, work = effect_on(node, 0, 1), rule.work(call_of(node), 1)
    if isinstance(effect, Stops):
        return work
    if isinstance(effect, Resumes):
        return effect.length * work
    return int(effect.map.contacts().sum()) * work


def delta_multiply_adds(node: Node, count: int) -> Table:
    """Fewest multiply-adds for each of `count` change ranges, `[R]`: changed and demanded positions only."""
    operand = node.operands[0] if node.operands else None
    if operand is None or node.is_constant or not rule_of(node).contraction:
        return np.zeros(count, dtype=np.int64)
    state = operand.facts.state
    if isinstance(state, Full) or not isinstance(state, Window):
        return np.full(count, whole_multiply_adds(node), dtype=np.int64)
    effect, work = effect_on(node, 0, state.axis), rule_of(node).work(call_of(node), state.axis)
    if isinstance(effect, Resumes):
        steps = state.ranges.hi if effect.reverse else effect.length - state.ranges.lo
        return np.where(state.ranges.widths > 0, steps, 0) * work
    if isinstance(effect, Stops) or node.facts.reason is not None:
        return np.full(count, whole_multiply_adds(node), dtype=np.int64)
    demand = node.facts.demand or (0, effect.map.out_length)
    before = np.concatenate([[0], np.cumsum(effect.map.contacts(*demand))])
    contacts = before[state.ranges.hi] - before[state.ranges.lo]
    return contacts * work


def naive_total(graph: Graph) -> int:
    """Multiply-adds of one forward pass of the model itself, for one sequence."""
    return reference_total(graph) + graph.dropped.multiply_adds


def reference_total(graph: Graph) -> int:
    """Multiply-adds of one reference pass, for one sequence."""
    return sum(whole_multiply_adds(n) for n in graph.nodes(Section.REFERENCE))
