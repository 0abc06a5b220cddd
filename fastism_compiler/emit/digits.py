"""Digits: rows that lost too many of them in a slice-assign, to be scored by the model itself.

A mutant's value is computed as reference + delta, so it is as accurate as the
larger of the two: a mutant of 0.1 behind a reference of 1e9 is known to about 60.
Mostly nobody minds, since results are as large as the reference then. But what
reads the value may saturate (`tanh`, a softmax whose mask is -1e9), drop the large
value (a ReLU where it is negative), or make much of what is small (a logarithm, a
denominator). In float32, three checks; in float64, more bits may be lost:

- *far*: an element that is 256 times smaller than its reference, and the reference
  larger than 256, as functions that saturate do so near 1. Where nothing that follows
  has a scale (ReLU, maximum), all channels must be. It is in every float slice-assign
  that is not returned as it is, but only in loops for sequences some of whose
  references are that large (`Tables.far`): these take longer to compile.
- *rest*: all channels 256 times smaller than their reference, where something behind
  mixes channels before it makes much of what is small (a norm), or where an op in
  front may change values by orders of magnitude (`exp`).
- *magnified*: an operand of which the digits count (`OpRule.magnifies`), if both it and
  the value that it was made from are much smaller than the reference, element by element.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from fastism_compiler.emit.functions import Tensor
from fastism_compiler.ir import Form, Graph, Node, Section, Window
from fastism_compiler.ir.queries import is_linear, rule_of
from fastism_compiler.ir.types import FLOATS

_LOSS = {"float64": 24}
"""Bits that a value may lose, by dtype, of float64's 53; of float32's 24 (sub-float32 layers compute in it), `_FEW`."""
_FEW = 8

Masked = Callable[[Node, Tensor], Tensor]
"""`(node, [T, width] flags of its window) -> the same, false outside the sequence`"""


def must_watch(tables: Sequence[Any]) -> bool:
    """Whether the loop that reads these packed tables must watch: they begin with `Tables.far`."""
    return bool(np.asarray(tables[0]).any())


def far_references(
    graph: Graph, values: Mapping[Node, Tensor], sequences: int | Tensor, results_are_read: bool
) -> Tensor:
    """Which sequences have a reference so far from 0 that a mutant's value may be too small a part of it: `[B]` bool.

    Args:
        graph: the lowered graph.
        values: what tile nodes read of the reference section.
        sequences: B.
        results_are_read: the outputs are not returned as they are: something is computed from them.
    """
    far = tf.zeros([sequences], tf.bool)
    for table, bits in {_table_of(n): _bits(n) for n in _watched(graph, results_are_read)}.items():
        if table.type.batched:
            far |= _any(tf.abs(values[table]) > 2.0**bits)
    return far


class Digits:
    """Finds the rows of one tile that lost digits.

    Args:
        graph: the lowered graph.
        watch: look for values far below a large reference, too.
        results_are_read: as in `far_references`.
        masked: leaves out what lies outside the sequence.

    Attributes:
        lost: `[T]` bool each: rows whose results are not reliable, although they may be finite.
    """

    def __init__(self, graph: Graph, watch: bool, results_are_read: bool, masked: Masked) -> None:
        self._masked = masked
        lossy = set(_lossy(graph))
        mixed, self._alone = _before_magnifying_ops(graph)
        self._rest = lossy & (_after_ill_conditioned_ops(graph) | mixed)
        self._watched = set(_watched(graph, results_are_read)) if watch else set()
        self._read = set(graph.tile_outputs) if results_are_read else set()
        self.lost: list[Tensor] = []

    def assigned(self, node: Node, value: Tensor, reference: Tensor) -> None:
        """Check the value of a slice-assign."""
        if node not in self._rest and node not in self._watched:
            return
        small, large, ratio = tf.abs(value), tf.abs(reference), 2.0 ** _bits(node)
        channels = _channels(node)
        if node in self._rest:
            self._add(node, tf.reduce_max(large, channels) > ratio * tf.reduce_max(small, channels))
        if node in self._watched:
            if _has_no_scale_behind(node, self._read):
                small, large = (tf.reduce_max(x, channels, keepdims=True) for x in (small, large))
            excess = large - ratio * tf.maximum(small, 1.0)
            self.lost.append(tf.reduce_max(excess, list(range(1, len(excess.shape)))) > 0)

    def read(self, node: Node, operands: list[Tensor], rows_of: Callable[[Node], Tensor]) -> None:
        """Check the operands of a node of which the digits count.

        Args:
            node: any tile node.
            operands: its operands.
            rows_of: the rows of any earlier tile node.
        """
        for i, bits in rule_of(node).magnifies.items():
            for assign in self._alone.get((node, i), ()):
                value = tf.abs(rows_of(assign))
                largest = tf.maximum(tf.abs(tf.cast(operands[i], value.dtype)), value)
                few = tf.abs(rows_of(assign.operands[1])) > 2.0 ** (bits + _bits(assign) - _FEW) * largest
                self._add(assign, tf.reduce_any(few, _channels(assign)))

    def _add(self, node: Node, flags: Tensor) -> None:
        """Flags by position, if there are positions: what is stored outside the sequence means nothing."""
        self.lost.append(_any(self._masked(node, flags) if node.has_window else flags))


def _lossy(graph: Graph) -> list[Node]:
    """The slice-assigns of floats. Those of the input itself are exact, whole numbers lose nothing."""
    return [n for n in graph.nodes(Section.TILE) if rule_of(n).converts == (Form.DELTA, Form.VALUE) and _loses(n)]


def _loses(assign: Node) -> bool:
    return assign.type.dtype in FLOATS and not _enters(assign.operands[0])


def _watched(graph: Graph, results_are_read: bool) -> list[Node]:
    """The slice-assigns that watching loops check; results that are returned as they are need no more digits."""
    return [n for n in _lossy(graph) if n.users or results_are_read]


def _enters(delta: Node) -> bool:
    """Whether a delta is that of a given input, perhaps moved."""
    while rule_of(delta).plumbing and delta.in_tile and not rule_of(delta).enters:
        delta = delta.operands[0]
    return rule_of(delta).enters and not delta.operands[0].attrs.get("computed", False)


def _bits(node: Node) -> int:
    """Bits that the values of a node may lose."""
    return _LOSS.get(node.type.dtype, _FEW)


def _is_linear(node: Node) -> bool:
    """Whether a tile node is linear in those of its operands that rows change."""
    return is_linear(node, [o.in_tile and o.facts.form is not Form.REFERENCE for o in node.operands])


def _has_no_scale_behind(assign: Node, read: set[Node]) -> bool:
    """Whether all that reads the value, until it is a difference again, scales with it.

    Args:
        assign: the value.
        read: results that are read by something that may have a scale.
    """
    pending, seen = list(assign.users), {assign}
    while pending:
        node = pending.pop()
        if node in seen or rule_of(node).converts == (Form.VALUE, Form.DELTA):
            continue
        seen.add(node)
        if not (rule_of(node).homogeneous or _is_linear(node)):
            return False
        pending += node.users
    return not seen & read


def _table_of(assign: Node) -> Node:
    """The reference value that a slice-assign reads."""
    return assign.operands[1].operands[0]


def _after_ill_conditioned_ops(graph: Graph) -> set[Node]:
    """The nodes downstream of an op that can change a value by orders of magnitude."""
    found: set[Node] = set()
    for node in graph.nodes(Section.TILE):
        if rule_of(node).ill_conditioned and not _is_linear(node):
            found |= graph.descendants(node)
    return found


def _before_magnifying_ops(graph: Graph) -> tuple[set[Node], dict[tuple[Node, int], list[Node]]]:
    """The nearest slice-assigns in front of the operands whose digits count.

    Returns:
        those with anything but element-wise ops between, and by (node, operand) those with nothing else.
    """
    mixed: set[Node] = set()
    alone: dict[tuple[Node, int], list[Node]] = {}
    for node in graph.nodes(Section.TILE):
        for i in rule_of(node).magnifies:
            element_wise, others = _nearest_assigns(node.operands[i])
            alone[node, i] = element_wise
            mixed |= others
    return mixed, alone


def _nearest_assigns(operand: Node) -> tuple[list[Node], set[Node]]:
    """The slice-assigns next upstream: behind element-wise ops alone, and behind any other."""
    lossy: list[Node] = []
    mixed: set[Node] = set()
    pending, seen = [(operand, True)], set()
    while pending:
        node, element_wise = pending.pop()
        if not node.in_tile or (node, element_wise) in seen:
            continue
        seen.add((node, element_wise))
        if rule_of(node).converts != (Form.DELTA, Form.VALUE):
            same = element_wise and rule_of(node).elementwise
            pending += [(o, same and o.type.shape == node.type.shape) for o in node.operands]
        elif not element_wise:
            mixed.add(node)
        elif _loses(node):
            lossy.append(node)
    return lossy, mixed


def _channels(node: Node) -> list[int]:
    """Every axis of rows but that of positions: a neighbour that stays large must not hide a loss."""
    state = node.facts.state
    if isinstance(state, Window):
        return [axis for axis in range(1, node.type.rank) if axis != state.axis]
    return [-1] if node.type.rank > 1 else []


def _any(flags: Tensor) -> Tensor:
    """Whether any flag of a leading entry is set."""
    return tf.reduce_any(flags, list(range(1, len(flags.shape))))
