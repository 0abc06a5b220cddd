"""The graph: typed nodes; networkx, seen by this module only, keeps their order and reachability.

Nodes live in one of two sections: `REFERENCE` nodes are computed once per
block of sequences, `TILE` nodes once per tile of mutated rows. Before
`insert-slice-assign` there are only reference nodes, and the graph is simply
the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from fastism_compiler.ir.dot import to_dot
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops import infer_type
from fastism_compiler.ir.printer import excerpt, to_text
from fastism_compiler.ir.ranges import ChangeRanges
from fastism_compiler.ir.tiling import Dropped, Prediction, Tiling
from fastism_compiler.ir.types import TensorType

if TYPE_CHECKING:
    import networkx as nx


class Graph:
    """A model, and later its ISM program, as a graph of single-valued nodes.

    Iteration is topological and deterministic (ties by age).

    Attributes:
        name: the model's name.
        inputs: the model's inputs, in order.
        outputs: the model's outputs, in order.
        tile_outputs: the outputs of a lowered graph per row of a tile, one for each output; empty before lowering.
        sequence: the mutated input.
        ranges: the change ranges that windows and carriers belong to, once they are known.
        tiling: how rows form tiles, once planned.
        prediction: what the program is expected to gain, once predicted.
        dropped: what the model itself computes besides, for nothing.
    """

    def __init__(self, name: str = "model") -> None:
        self.name = name
        self.inputs: list[Node] = []
        self.outputs: list[Node] = []
        self.tile_outputs: list[Node] = []
        self.sequence: Node | None = None
        self.ranges: ChangeRanges | None = None
        self.tiling: Tiling | None = None
        self.prediction: Prediction | None = None
        self.dropped = Dropped()
        self._nx: nx.DiGraph[Node] = _networkx().DiGraph()
        self._names: set[str] = set()
        self._next_id = 0
        self._order: list[Node] | None = []

    # Reading

    def operands(self, node: Node) -> list[Node]:
        """The same as `node.operands`, as a list."""
        return list(node.operands)

    def users(self, node: Node) -> list[Node]:
        """The same as `node.users`, as a list."""
        return list(node.users)

    @property
    def results(self) -> list[Node]:
        """What the graph returns as it stands: `tile_outputs` once it is lowered, `outputs` before."""
        return self.tile_outputs or self.outputs

    def nodes(self, section: Section | None = None) -> list[Node]:
        """All nodes (of one section), producers before users.

        Raises:
            IRError: the graph has a cycle.
        """
        if self._order is None:
            try:
                self._order = list(_networkx().lexicographical_topological_sort(self._nx, key=lambda n: n.id))
            except _networkx().NetworkXUnfeasible as error:
                raise IRError("a graph must not contain a cycle") from error
        return [n for n in self._order if section is None or n.section is section]

    def descendants(self, node: Node) -> set[Node]:
        """Every node that depends on `node`."""
        return set(_networkx().descendants(self._nx, node))

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes())

    def __len__(self) -> int:
        return len(self._nx)

    def __contains__(self, node: Node) -> bool:
        return node in self._nx

    # Writing

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
            IRError: an unknown op, operands that its rule refuses, or operands of another graph.
        """
        frozen = MappingProxyType(dict(attrs or {}))
        inferred = type or infer_type(op, [n.type for n in inputs], frozen)
        node = Node(self._next_id, name or op, op, frozen, inferred, layer, section, self)
        for producer in inputs:
            self._check_mine(producer, node)
        node.name = self._unique(node.name)
        self._next_id += 1
        self._nx.add_node(node)
        node._operands = tuple(inputs)
        for producer in inputs:
            self._connect(producer, node)
        if self._order is not None:
            self._order.append(node)  # stays sorted: it is the youngest, and nothing reads it yet
        return node

    def set_operand(self, node: Node, position: int, producer: Node) -> None:
        """Let argument `position` of `node` read `producer` instead.

        Raises:
            IRError: a producer of another graph.
        """
        self._check_mine(producer, node)
        operands = list(node.operands)
        self._disconnect(operands[position], node)
        operands[position] = producer
        node._operands = tuple(operands)
        self._connect(producer, node)
        self._order = None

    def replace(self, old: Node, new: Node) -> None:
        """Put `new` in the place of `old` for every user but `new`, and among outputs and tile outputs."""
        for user in old.users:
            if user is not new:
                self.redirect(user, old, new)
        self.outputs = [new if n is old else n for n in self.outputs]
        self.tile_outputs = [new if n is old else n for n in self.tile_outputs]

    def redirect(self, user: Node, old: Node, new: Node) -> None:
        """Let `user` read `new` wherever it reads `old`."""
        for position, producer in enumerate(user.operands):
            if producer is old:
                self.set_operand(user, position, new)

    def remove(self, node: Node) -> None:
        """Delete a node that nothing reads.

        Raises:
            IRError: the node still has users, or is an input, an output or a tile output.
        """
        if node._users or node in (*self.inputs, *self.outputs, *self.tile_outputs):
            raise IRError("only a node that nothing reads can be removed", node=node)
        self._delete([node])

    def prune(self) -> int:
        """Delete every node that no output or tile output depends on, inputs excepted; return how many."""
        live: set[Node] = set()
        waiting = [*self.outputs, *self.tile_outputs]
        while waiting:
            node = waiting.pop()
            if node not in live:
                live.add(node)
                waiting.extend(node.operands)
        dead = [n for n in reversed(self.nodes()) if n not in live and n not in self.inputs]
        self._delete(dead)
        return len(dead)

    def copy(self) -> Graph:
        """A copy with the same ids and names, without facts, ranges, tiling and prediction."""
        other = Graph(self.name)
        twins: dict[Node, Node] = {}
        for node in self.nodes():
            twin = Node(node.id, node.name, node.op, node.attrs, node.type, node.layer, node.section, other)
            other._nx.add_node(twin)
            twin._operands = tuple(twins[o] for o in node.operands)
            for producer in twin.operands:
                other._connect(producer, twin)
            twins[node] = twin
        other.inputs = [twins[n] for n in self.inputs]
        other.outputs = [twins[n] for n in self.outputs]
        other.tile_outputs = [twins[n] for n in self.tile_outputs]
        other.sequence = twins[self.sequence] if self.sequence is not None else None
        other._names, other._next_id = set(self._names), self._next_id
        other._order = list(twins.values())
        return other

    # Showing

    def __str__(self) -> str:
        return to_text(self)

    def to_dot(self) -> str:
        """The graph in graphviz's dot language."""
        return to_dot(self)

    def excerpt(self, node: Node) -> list[str]:
        """The lines around a node in canonical text form, its own marked, for error messages."""
        return excerpt(self, node)

    # Edges

    def _check_mine(self, producer: Node, node: Node) -> None:
        if producer not in self:
            raise IRError("an operand must belong to the same graph", got=repr(producer), node=node)

    def _connect(self, producer: Node, node: Node) -> None:
        producer._users[node] = producer._users.get(node, 0) + 1
        self._nx.add_edge(producer, node)

    def _disconnect(self, producer: Node, node: Node) -> None:
        producer._users[node] -= 1
        if producer._users[node] == 0:
            del producer._users[node]
            self._nx.remove_edge(producer, node)

    def _delete(self, nodes: Sequence[Node]) -> None:
        """Delete nodes, users before producers; the order of the others stays what it was."""
        for node in nodes:
            for producer in node.operands:
                self._disconnect(producer, node)
            self._nx.remove_node(node)
            self._names.discard(node.name)
        if self._order is not None:
            dead = set(nodes)
            self._order = [n for n in self._order if n not in dead]

    def _unique(self, name: str) -> str:
        candidate, number = name, 1
        while candidate in self._names:
            candidate, number = f"{name}.{number}", number + 1
        self._names.add(candidate)
        return candidate


def _networkx() -> Any:
    import networkx  # a third of the time that importing this package takes; only graphs need it

    return networkx
