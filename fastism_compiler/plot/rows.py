"""A graph as rows: one per Keras layer, with what the reference and the tile section do in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from fastism_compiler.ir import Form, Graph, LayerClass, Node, Section, Window
from fastism_compiler.ir.queries import rule_of

_TELLING = (
    LayerClass.INPUT,
    LayerClass.STOP,
    LayerClass.RECURRENT,
    LayerClass.AGGREGATION,
    LayerClass.POOLING,
    LayerClass.LOCAL,
    LayerClass.SEE_THROUGH,
)
"""A layer has the first of these classes that one of its ops has."""


@dataclass(slots=True)
class Row:
    """One layer of a drawing.

    Attributes:
        layer: Keras layer name, or the node's own where there is none.
        reference: its nodes that run once per block of sequences.
        tile: its nodes that run once per tile of mutated rows.
    """

    layer: str
    reference: list[Node] = field(default_factory=list)
    tile: list[Node] = field(default_factory=list)

    @property
    def nodes(self) -> list[Node]:
        """All nodes, the reference's first."""
        return [*self.reference, *self.tile]

    @property
    def layer_class(self) -> LayerClass:
        """The class that says most about the layer."""
        classes = {n.facts.layer_class for n in self.nodes}
        return next((c for c in _TELLING if c in classes), LayerClass.CONSTANT)

    @property
    def reason(self) -> str | None:
        """Why acceleration stops here, if it does."""
        return next((n.facts.reason for n in self.reference if n.facts.reason), None)

    @property
    def ops(self) -> list[str]:
        """What the layer computes, in the model's order."""
        return _distinct(self.reference)

    @property
    def tile_ops(self) -> list[str]:
        """What the tile section computes; ops that only move rows go by their own names."""
        return _distinct(self.tile)

    @property
    def kernel(self) -> str | None:
        """How its linear op runs on differences."""
        return next((n.facts.kernel for n in self.tile if n.facts.kernel), None)

    @property
    def form(self) -> str:
        """On what the model's own ops run in the tile: `delta`, `value`, or both in that order."""
        working = [n for n in self.tile if not rule_of(n).plumbing] or self.tile
        forms = [str(n.facts.form) for n in working if n.facts.form in (Form.DELTA, Form.VALUE)]
        return " → ".join(dict.fromkeys(forms))

    @property
    def window(self) -> Window | None:
        """Where the layer's result may differ; None where that is everywhere, or nowhere."""
        states = [n.window for n in self.reference if n.has_window]
        return states[-1] if states and self.reference[-1].facts.state is states[-1] else None


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a graph, in topological order, and who reads whom.

    Attributes:
        rows: one per layer.
        edges: `(producer row, user row)` within one section, `{section: pairs}`.
        reads: `(producer row, user row)` where the user's tile part reads the producer's reference part.
    """

    rows: list[Row]
    edges: dict[Section, list[tuple[int, int]]]
    reads: list[tuple[int, int]]


def rows_of(graph: Graph) -> Rows:
    """The rows of a graph; parameters, literals and what is computed from them alone are left out."""
    rows: list[Row] = []
    place: dict[Node, int] = {}
    shown = [n for n in graph.nodes(Section.REFERENCE) if _shown(n)]
    for nodes in _calls(shown):
        place.update(dict.fromkeys(nodes, len(rows)))
        rows.append(Row(nodes[0].layer or nodes[0].name, nodes))
    for node in graph.nodes(Section.TILE):
        place[node] = _place_tile(node, rows, place)
        rows[place[node]].tile.append(node)
    edges: dict[Section, set[tuple[int, int]]] = {s: set() for s in Section}
    reads: set[tuple[int, int]] = set()
    for node, row in place.items():
        for producer in node.operands:
            if producer not in place:
                continue
            pair = (place[producer], row)
            if producer.section is not node.section:
                reads.add(pair)
            elif pair[0] != pair[1]:
                edges[node.section].add(pair)
    return Rows(rows, {s: sorted(e) for s, e in edges.items()}, sorted(reads))


def _shown(node: Node) -> bool:
    if rule_of(node).leaf and node not in node.graph.inputs:
        return False
    return node in node.graph.inputs or node.facts.layer_class is not LayerClass.CONSTANT or node.type.batched


def _calls(nodes: list[Node]) -> list[list[Node]]:
    """Connected nodes of the same layer: one list per layer, and per call of a layer that is shared."""
    call: dict[Node, list[Node]] = {}
    for node in nodes:
        joined = [node]
        for producer in node.operands:
            if producer in call and node.layer is not None and producer.layer == node.layer:
                joined = [*[n for n in call[producer] if n not in joined], *joined]
        call.update(dict.fromkeys(joined, joined))
    age = {node: number for number, node in enumerate(nodes)}
    distinct = {id(c): sorted(c, key=age.__getitem__) for c in call.values()}
    return sorted(distinct.values(), key=lambda c: age[c[0]])


def _place_tile(node: Node, rows: list[Row], place: dict[Node, int]) -> int:
    """The first row of the node's layer at or after all tile rows that the node reads."""
    layer = node.layer or node.name
    earliest = max((place[p] for p in node.operands if p.in_tile), default=0)
    same = [i for i, row in enumerate(rows) if row.layer == layer]
    later = [i for i in same if i >= earliest]
    if later or same:
        return later[0] if later else same[-1]
    rows.append(Row(layer))
    return len(rows) - 1


def _distinct(nodes: list[Node]) -> list[str]:
    return list(dict.fromkeys(str(n.attrs.get("what", n.op)) for n in nodes))
