"""crop-early: behind what reads every position, compute only the positions that a crop leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastism_compiler.ir.arithmetic import whole_multiply_adds
from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops import Moves
from fastism_compiler.ir.position_map import ceil_div
from fastism_compiler.ir.queries import call_of, effect_on, rule_of
from fastism_compiler.ir.tiling import Dropped
from fastism_compiler.passes.base import Context, Kind, Pass
from fastism_compiler.passes.classify_layers import is_stopped


@dataclass(frozen=True, slots=True)
class _Span:
    """Positions `[begin, end)` of one axis."""

    axis: int
    begin: int
    end: int

    @property
    def is_empty(self) -> bool:
        return self.begin >= self.end


@dataclass(frozen=True)
class CropEarlyPass(Pass):
    """Move slices towards the input, past ops on values without a window, up to the queries of an attention.

    1. Where every user of such a value is a slice on one axis, the op makes only the positions that some slice keeps.
    2. It reads slices of the operands that lie along that axis, which move on in the same way. Keys and values of an
       attention stay whole, as does what a layer of `stop_at` makes.
    3. What the model itself computes for nothing is noted: predictions compare with the model.

    Values with a window are left as they are: `demand` limits their rows.
    """

    name: ClassVar[str] = "crop-early"
    kind: ClassVar[Kind] = Kind.TRANSFORM
    requires: ClassVar[tuple[str, ...]] = ("classify-layers",)
    invalidates: ClassVar[tuple[str, ...]] = ("demand", "propagate-ranges", "segment")

    def run(self, graph: Graph, context: Context) -> None:
        for node in reversed(graph.nodes()):
            span = _kept(graph, node, context.stop_at)
            if span is not None:
                _crop(graph, node, span)


def _kept(graph: Graph, node: Node, stop_at: frozenset[str]) -> _Span | None:
    """The positions of a value without a window that its users, all of them slices, keep; None: all of them."""
    whole = not _is_constant(node) and node.facts.axis is None and rule_of(node).cut is not None
    if not whole or node in graph.outputs or is_stopped(node, stop_at):
        return None
    users = node.users
    axes = {int(user.attrs["axis"]) for user in users} if all(rule_of(user).crops for user in users) else set()
    if len(axes) != 1:
        return None
    (axis,) = axes
    span = _aligned(node, _Span(axis, min(u.attrs["begin"] for u in users), max(u.attrs["end"] for u in users)))
    return span if span.end - span.begin < node.type.extent(axis) else None


def _aligned(node: Node, span: _Span) -> _Span:
    """The same positions and those that come with them: an op that repeats a position repeats it whole."""
    step = 1
    for i, operand in enumerate(node.operands):
        for axis in range(1, operand.type.rank):
            effect = effect_on(node, i, axis)
            if isinstance(effect, Moves) and effect.axis == span.axis and effect.map.scatter:
                step = max(step, effect.map.stride)
    return _Span(span.axis, span.begin // step * step, ceil_div(span.end, step) * step)


def _crop(graph: Graph, node: Node, span: _Span) -> None:
    """Let a node make only these positions, and its users read them."""
    made = _made(graph, node, span)
    if made is None:
        return
    _note_dropped(graph, node, made)
    for user in list(node.users):
        begin, end = user.attrs["begin"] - span.begin, user.attrs["end"] - span.begin
        graph.replace(user, _sliced(graph, made, _Span(span.axis, begin, end), user))
        graph.remove(user)
    graph.remove(node)  # what it alone reads is next: a dead user would still ask for all of it


def _made(graph: Graph, node: Node, span: _Span) -> Node | None:
    """The op of a node for these positions alone; None where it cannot be cut so."""
    rule = rule_of(node)
    if rule.crops and node.attrs["axis"] == span.axis:
        begin = node.attrs["begin"]
        return _sliced(graph, node.operands[0], _Span(span.axis, begin + span.begin, begin + span.end), node)
    spans = [_needed(node, i, span) for i in range(len(node.operands))]
    along = [s for s in spans if s is not None]
    if rule.cut is None or not along or any(s.is_empty for s in along):
        return None  # no operand has these positions, or one would have none left
    operands = [o if s is None else _sliced(graph, o, s, node) for o, s in zip(node.operands, spans, strict=True)]
    attrs = rule.cut(call_of(node), span.axis, span.begin, span.end)
    made = graph.add(node.op, operands, attrs, layer=node.layer, name=node.name)
    expected = node.type.with_extent(span.axis, span.end - span.begin)
    if made.type != expected:
        raise IRError("an op that makes some positions makes so many", expected=expected, got=made.type, node=node)
    own, facts = made.facts, node.facts
    own.layer_class, own.stops, own.resumes = facts.layer_class, facts.stops, facts.resumes
    return made


def _needed(node: Node, operand: int, span: _Span) -> _Span | None:
    """The positions of an operand that these of the result need; None: the operand does not lie along the axis."""
    if rule_of(node).aligned.get(operand) == span.axis:
        return span
    kind = node.operands[operand].type
    for axis in range(int(kind.batched), kind.rank):
        effect = effect_on(node, operand, axis)
        if isinstance(effect, Moves) and effect.axis == span.axis:
            return _Span(axis, *effect.map.needed(span.begin, span.end))
    return None


def _sliced(graph: Graph, node: Node, span: _Span, reader: Node) -> Node:
    """Some positions of a node, for the layer of `reader`: the node, or a slice that is there, or a new one."""
    attrs = {"axis": span.axis, "begin": span.begin, "end": span.end}
    if span.begin == 0 and span.end == node.type.extent(span.axis):
        return node
    for user in node.users:
        if rule_of(user).crops and user.attrs == attrs:
            return user
    made = graph.add("slice", [node], attrs, layer=reader.layer)
    made.facts.layer_class = LayerClass.CONSTANT if _is_constant(node) else LayerClass.SEE_THROUGH
    made.facts.axis = node.facts.axis
    return made


def _is_constant(node: Node) -> bool:
    return node.facts.layer_class is LayerClass.CONSTANT


def _note_dropped(graph: Graph, node: Node, made: Node) -> None:
    """Count what the model itself does for the positions that `made` leaves out."""
    elements = 0 if rule_of(node).elementwise else node.type.row_size - made.type.row_size
    graph.dropped += Dropped(whole_multiply_adds(node) - whole_multiply_adds(made), elements)
