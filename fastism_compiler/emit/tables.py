"""Tables: what tiles read of one reference pass over a block of sequences.

The reference pass and the loop over tiles are compiled separately, so tables
pass between them as a flat list of tensors. Parameters are not among them:
both parts read them where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from fastism_compiler.emit.digits import far_references
from fastism_compiler.emit.finite import all_finite, shows_all
from fastism_compiler.emit.functions import Tensor
from fastism_compiler.emit.kernels.table import KERNELS
from fastism_compiler.emit.positions import between
from fastism_compiler.emit.running import COMBINATIONS, State, running_tables
from fastism_compiler.ir import Graph, Kept, Node, Section
from fastism_compiler.ir.ops import COMPOSER_OPS
from fastism_compiler.ir.queries import hiding_faults, rule_of, weights_of


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """What does not change from tile to tile.

    Attributes:
        values: what tile nodes read: what is kept of reference values `[B, ...]`, parameters, and what is computed
            from these.
        parameters: the parameters and literals that tile nodes may read.
        arranged: by contraction: its weights as its kernel reads them.
        running: by aggregation: its states before, and from, each kept position, `[B, length + 1, ...]` at most.
        outputs: the finished outputs of the sequences themselves, `[B, *out]` each.
        finite: `[B]` bool, sequences whose numbers can be trusted.
        far: `[B]` bool, sequences whose loops must watch for lost digits (see `emit.digits`).
    """

    values: Mapping[Node, Tensor]
    parameters: Mapping[Node, Tensor]
    arranged: Mapping[Node, Any]
    running: Mapping[Node, tuple[State, State]]
    outputs: list[Tensor]
    finite: Tensor
    far: Tensor

    @staticmethod
    def of(
        graph: Graph,
        values: Mapping[Node, Tensor],
        outputs: list[Tensor],
        sequences: int | Tensor,
        results_are_read: bool,
    ) -> Tables:
        """The tables of a reference pass.

        Args:
            graph: the lowered graph.
            values: the reference section's tensors by node.
            outputs: the finished outputs, `[B, *out]` each.
            sequences: B.
            results_are_read: the outputs of tiles are not returned as they are: something is computed from them.
        """
        read: dict[Node, Tensor] = {}
        arranged: dict[Node, Any] = {}
        running: dict[Node, tuple[State, State]] = {}
        for node in graph.nodes(Section.TILE):
            weights = weights_of(node)
            if weights is not None:
                rows = node.operands[0]
                width = rows.carrier.width if rows.has_window else rows.type.extent(1)
                arranged[node] = KERNELS[str(node.facts.kernel)].prepare(node, values[weights], width)
            if node.op in COMBINATIONS:
                before, after = running_tables(node, values[node.operands[1]], node.operands[0].window.axis)
                running[node] = _kept_states(node, before), _kept_states(node, after)
            read.update((o, _kept(o, values[o])) for o in operands_read(node) if not o.in_tile)
        parameters = {n: x for n, x in values.items() if rule_of(n).leaf and not n.type.batched}
        far = far_references(graph, read, sequences, results_are_read)
        return Tables(read, parameters, arranged, running, outputs, _finite(graph, values, sequences), far)

    def packed(self) -> tuple[list[Tensor], Layout]:
        """The tensors of the tables as a flat list, `far` first, and the layout that makes tables of them again."""
        known = {id(x): n for n, x in self.parameters.items()}
        flat: list[Tensor] = []

        def slot(x: Any) -> Any:
            if not tf.is_tensor(x):
                return x
            if id(x) in known:
                return known[id(x)]
            flat.append(x)
            return _Slot(len(flat) - 1)

        return flat, Layout(self.mapped(slot, {}))

    def mapped(self, change: Callable[[Any], Any], parameters: Mapping[Node, Tensor]) -> Tables:
        """The same with `change` applied to everything in it, `far` first, and with these parameters."""
        far = change(self.far)

        def each(nests: Mapping[Node, Any]) -> dict[Node, Any]:
            return {n: tf.nest.map_structure(change, nest) for n, nest in nests.items()}

        own = each(self.values), parameters, each(self.arranged), each(self.running)
        return Tables(*own, [change(y) for y in self.outputs], change(self.finite), far)


@dataclass(frozen=True, slots=True)
class Layout:
    """How flat tensors become tables again.

    Attributes:
        slots: tables with slots in place of tensors, and nodes in place of parameters.
    """

    slots: Tables

    def unpacked(self, tensors: Sequence[Tensor], read: Callable[[Node], Tensor]) -> Tables:
        """The tables made of these flat tensors; `read` gives the parameter of a leaf."""
        parameters: dict[Node, Tensor] = {}

        def tensor(x: Any) -> Any:
            if isinstance(x, _Slot):
                return tensors[x.number]
            if not isinstance(x, Node):
                return x
            if x not in parameters:
                parameters[x] = read(x)
            return parameters[x]

        return self.slots.mapped(tensor, parameters)


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a tensor is among the flat ones."""

    number: int


def operands_read(node: Node) -> Sequence[Node]:
    """The operands that a tile node reads as they are: not weights, and not what running tables are made of."""
    return node.operands[:1] if weights_of(node) is not None or node.op in COMBINATIONS else node.operands


def _kept(node: Node, value: Tensor) -> Tensor:
    """What is kept of a reference value."""
    kept = node.facts.kept
    return value if kept is None else _part(value, kept, kept.axis)


def _kept_states(node: Node, state: State) -> State:
    """What is kept of the running tables of an aggregation, whose positions come first."""
    return tuple(_part(x, node.facts.kept, 1) for x in state)


def _part(x: Tensor, kept: Kept | None, axis: int) -> Tensor:
    """The kept positions, which lie on `axis`."""
    if kept is None:
        return x
    return between(x, kept.first, kept.first + kept.extent, axis)


def _finite(graph: Graph, values: Mapping[Node, Tensor], sequences: int | Tensor) -> Tensor:
    """Sequences whose reference can be trusted where tiles read it, and where an op may hide NaN or overflow: `[B]`.

    All False where a composed kernel overflows: infinity times a difference of 0 is NaN, in any row.
    """
    finite = tf.ones([sequences], tf.bool)
    for node in hiding_faults(graph, Section.REFERENCE):
        source = node.operands[0]
        finite = finite & (shows_all(values[source], node.type.dtype) if source.type.batched else True)
    nodes = graph.nodes(Section.REFERENCE)
    for node in nodes:
        if node.op in COMPOSER_OPS:
            finite = finite & tf.reduce_all(all_finite([values[node]]))
    read = [n for n in nodes if n.type.batched and not rule_of(n).leaf and any(u.in_tile for u in n.users)]
    return finite & all_finite([values[n] for n in read]) if read else finite
