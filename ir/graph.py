"""The graph: typed nodes over a networkx multigraph that nothing else gets to see.

Every node is one value (static single assignment). Nodes live in one of two
sections: `REFERENCE` nodes are computed once per block of sequences, `TILE`
nodes once per tile of mutated rows. Before `insert-slice-assign` there are
only reference nodes, and the graph is simply the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

import networkx as nx
import numpy as np
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.position_map import Table
from fastism_compiler.ir.ranges import Carrier, State, Window
from fastism_compiler.ir.types import TensorType


class Section(StrEnum):
    """When a node is computed."""

    REFERENCE = "reference"
    TILE = "tile"


class LayerClass(StrEnum):
    """What an op does to a change that reaches it (pass `classify-layers`)."""

    CONSTANT = "constant"
    INPUT = "input"
    LOCAL = "local"
    SEE_THROUGH = "see-through"
    POOLING = "pooling"
    AGGREGATION = "aggregation"
    RECURRENT = "recurrent"
    STOP = "stop"


class Form(StrEnum):
    """How a tile node stores its rows."""

    DELTA = "delta"
    """mutant - reference; 0 outside the sequence"""
    VALUE = "value"
    """the mutant's own values"""
    REFERENCE = "reference"
    """the reference's values on the same rows"""


@dataclass(slots=True)
class Facts:
    """What the analyses found out about a node; None where they have not run."""

    layer_class: LayerClass | None = None
    axis: int | None = None
    """Axis that holds sequence positions; None where there is none."""
    demand: tuple[int, int] | None = None
    """Positions on `axis` that the outputs need."""
    state: State | None = None
    segment: int | None = None
    form: Form | None = None
    """Before `insert-slice-assign`: the form this op's result should take in the tile."""
    carrier: Carrier | None = None
    kernel: str | None = None
    parts: int = 1
    """In how many parts a slice of a dense kernel is read (see `plan-tiles`)."""
    shared_start: bool = False
    """All rows of a tile store this value from the same position on."""
    reason: str | None = None
    """Why acceleration stops here."""


@dataclass(slots=True, eq=False)
class Node:
    """One op and the value it makes. Made by `Graph.add` only."""

    id: int
    name: str
    op: str
    attrs: Mapping[str, Any]
    type: TensorType
    layer: str | None
    section: Section
    facts: Facts = field(default_factory=Facts)

    def __repr__(self) -> str:
        return f"<Node %{self.name} = {self.op}: {self.type}>"

    @property
    def window(self) -> Window:
        """Its state, which must be a window.

        Raises:
            IRError: constant, full, or not known yet.
        """
        if not isinstance(self.facts.state, Window):
            raise IRError("a window is needed", got=str(self.facts.state), node=self)
        return self.facts.state

    @property
    def carrier(self) -> Carrier:
        """Where its rows are stored.

        Raises:
            IRError: not stored as a window, or not placed yet.
        """
        if self.facts.carrier is None:
            raise IRError("a carrier is needed", got="none", node=self)
        return self.facts.carrier


@dataclass(frozen=True, slots=True, eq=False)
class Tiling:
    """How rows are cut into tiles (pass `plan-tiles`).

    Attributes:
        groups: one label per range; a tile holds rows of one label only.
        row_bytes: memory one row needs at the widest step.
        most_rows: rows that the memory for a tile allows.
        near_rows: rows that are best where tiles run beside each other, a core each.
        overhead: what starting a tile and reading its weights costs, in rows.
    """

    groups: Table
    row_bytes: int
    most_rows: int
    near_rows: int
    overhead: float

    def rows(self, sequences: int) -> int:
        """Rows per tile for blocks of `sequences`: large tiles, little padding."""
        sizes = np.unique(self.groups, return_counts=True)[1] * sequences
        return cheapest_rows(sizes, self.near_rows, self.overhead)[0]

    def tiles(self, sequences: int) -> int:
        """Tiles of a scan of every range of `sequences` sequences."""
        sizes = np.unique(self.groups, return_counts=True)[1] * sequences
        return int((-(-sizes // self.rows(sequences))).sum())


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the cost model expects (pass `choose-program`).

    Attributes:
        speed_up: of the tile section over the model itself, in time.
        naive: the model itself is expected to be faster.
    """

    speed_up: float
    naive: bool


def cheapest_rows(sizes: Table, most: int, overhead: float) -> tuple[int, float]:
    """Rows per tile at which groups of these sizes cost least, and that cost per row.

    Short tiles repeat what starting a tile costs; long ones are padded more.
    """
    candidates = [n for n in range(1, most + 1) if n % 8 == 0 or n == most or n < 8]
    costs = [(-(-sizes // n) * n).sum() * (1 + overhead / n) / sizes.sum() for n in candidates]
    best = int(np.argmin(costs))
    return candidates[best], float(costs[best])


class Graph:
    """A model, and later its ISM program, as a graph of single-valued nodes.

    `inputs` and `outputs` are ordered; `sequence` is the mutated input.
    Once lowered, `outputs` are the tile's, and `references` the model's own.
    Iteration is topological and deterministic (ties by age).
    """

    def __init__(self, name: str = "model") -> None:
        self.name = name
        self.inputs: list[Node] = []
        self.outputs: list[Node] = []
        self.references: list[Node] = []
        self.tiling: Tiling | None = None
        self.prediction: Prediction | None = None
        self.sequence: Node | None = None
        self._nx: nx.MultiDiGraph[int] = nx.MultiDiGraph()
        self._names: set[str] = set()
        self._next_id = 0
        self._order: list[Node] | None = None

    def add(
        self,
        op: str,
        inputs: Sequence[Node] = (),
        attrs: Mapping[str, Any] | None = None,
        *,
        type: TensorType | None = None,
        layer: str | None = None,
        section: Section = Section.REFERENCE,
        name: str | None = None,
    ) -> Node:
        """Append a node. Its type is inferred from the op's rule unless given.

        Raises:
            IRError: unknown op, or operands the op's rule refuses.
        """
        from fastism_compiler.ir.ops import infer_type

        frozen = MappingProxyType(dict(attrs or {}))
        inferred = type or infer_type(op, [n.type for n in inputs], frozen)
        node = Node(self._next_id, self._unique(name or op), op, frozen, inferred, layer, section)
        self._next_id += 1
        self._nx.add_node(node.id, node=node)
        for position, producer in enumerate(inputs):
            self._connect(producer, node, position)
        self._order = None
        return node

    def __str__(self) -> str:
        from fastism_compiler.ir.printer import to_text

        return to_text(self)

    def to_dot(self) -> str:
        """The graph in graphviz's dot language."""
        from fastism_compiler.ir.dot import to_dot

        return to_dot(self)

    def nodes(self, section: Section | None = None) -> list[Node]:
        """All nodes (of one section), producers before users."""
        if self._order is None:
            order = nx.lexicographical_topological_sort(self._nx, key=lambda i: i)
            try:
                self._order = [self._nx.nodes[i]["node"] for i in order]
            except nx.NetworkXUnfeasible as error:
                raise IRError("a graph must not contain a cycle") from error
        return [n for n in self._order if section is None or n.section is section]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes())

    def __len__(self) -> int:
        return int(self._nx.number_of_nodes())

    def __contains__(self, node: Node) -> bool:
        return bool(self._nx.has_node(node.id)) and self._nx.nodes[node.id]["node"] is node

    def operands(self, node: Node) -> list[Node]:
        """The producers of `node`, in argument order."""
        edges = self._nx.in_edges(node.id, keys=True)
        return [self._nx.nodes[u]["node"] for u, _, _ in sorted(edges, key=lambda e: e[2])]

    def users(self, node: Node) -> list[Node]:
        """The nodes that read `node`, once each, oldest first."""
        return [self._nx.nodes[i]["node"] for i in sorted(set(self._nx.successors(node.id)))]

    def set_operand(self, node: Node, position: int, producer: Node) -> None:
        """Let argument `position` of `node` read `producer` instead."""
        old = self.operands(node)[position]
        self._nx.remove_edge(old.id, node.id, key=position)
        self._connect(producer, node, position)
        self._order = None

    def replace(self, old: Node, new: Node) -> None:
        """Let every user of `old`, and every graph output, read `new` instead."""
        for user in self.users(old):
            if user is new:
                continue
            for position, producer in enumerate(self.operands(user)):
                if producer is old:
                    self.set_operand(user, position, new)
        self.outputs = [new if n is old else n for n in self.outputs]
        self.references = [new if n is old else n for n in self.references]

    def remove(self, node: Node) -> None:
        """Delete a node that nothing reads.

        Raises:
            IRError: the node still has users, or is an input or output.
        """
        if self.users(node) or node in (*self.inputs, *self.outputs, *self.references):
            raise IRError("only a node that nothing reads can be removed", node=node)
        self._nx.remove_node(node.id)
        self._names.discard(node.name)
        self._order = None

    def prune(self) -> int:
        """Delete every node no output depends on, inputs excepted; return how many."""
        roots = [*self.outputs, *self.references]
        live = {n.id for n in roots}
        for node in roots:
            live |= nx.ancestors(self._nx, node.id)
        dead = [n for n in reversed(self.nodes()) if n.id not in live and n not in self.inputs]
        for node in dead:
            self.remove(node)
        return len(dead)

    def descendants(self, node: Node) -> set[Node]:
        """Every node that depends on `node`."""
        return {self._nx.nodes[i]["node"] for i in nx.descendants(self._nx, node.id)}

    def copy(self) -> Graph:
        """A copy whose nodes have fresh facts; ids and names stay the same."""
        other = Graph(self.name)
        twins = {}
        for node in self.nodes():
            twin = Node(node.id, node.name, node.op, node.attrs, node.type, node.layer, node.section)
            other._nx.add_node(twin.id, node=twin)
            twins[node.id] = twin
        for u, v, position in self._nx.edges(keys=True):
            other._nx.add_edge(u, v, key=position)
        other.inputs = [twins[n.id] for n in self.inputs]
        other.outputs = [twins[n.id] for n in self.outputs]
        other.references = [twins[n.id] for n in self.references]
        other.sequence = twins[self.sequence.id] if self.sequence is not None else None
        other._names, other._next_id = set(self._names), self._next_id
        return other

    def _connect(self, producer: Node, node: Node, position: int) -> None:
        if producer not in self:
            raise IRError("an operand must belong to the same graph", got=repr(producer), node=node)
        self._nx.add_edge(producer.id, node.id, key=position)

    def _unique(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self._names:
            candidate, number = f"{name}.{number}", number + 1
        self._names.add(candidate)
        return candidate
