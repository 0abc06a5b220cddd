"""classify-layers: what each op does to a change, and on which axis its positions lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from fastism_compiler.ir.checks import has_class, stop_has_reason
from fastism_compiler.ir.facts import LayerClass
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops import Aggregates, Effect, Moves, Resumes, Stops
from fastism_compiler.ir.queries import effect_on, rule_of
from fastism_compiler.ir.verifier import StageSpec
from fastism_compiler.passes.base import Context, Kind, Pass


@dataclass(frozen=True)
class ClassifyLayersPass(Pass):
    """Give every node a class and, where it still has positions, their axis.

    1. What does not depend on the sequence is `constant`.
    2. An op whose rule follows the window keeps its rule's class.
    3. An op that reduces the position axis is an `aggregation`: no axis from there on.
    4. A recurrence over positions is `recurrent`: from the first change on, everything may change.
    5. An op without a rule for the window, or in a layer of `stop_at`, is a
       `stop`, with the reason. What comes after has no axis either.
    """

    name: ClassVar[str] = "classify-layers"
    kind: ClassVar[Kind] = Kind.ANALYSIS
    requires: ClassVar[tuple[str, ...]] = ("canonicalize",)
    ensures: ClassVar[StageSpec] = StageSpec(reference=(has_class, stop_has_reason))

    def run(self, graph: Graph, context: Context) -> None:
        for node in graph:
            _classify(graph, node, context.stop_at)


def _classify(graph: Graph, node: Node, stop_at: frozenset[str]) -> None:
    facts = node.facts
    if node is graph.sequence:
        facts.layer_class, facts.axis = LayerClass.INPUT, 1
        return
    changed = [(i, o) for i, o in enumerate(node.operands) if o.facts.layer_class is not LayerClass.CONSTANT]
    if not changed:
        facts.layer_class = LayerClass.CONSTANT
        return
    windows = [(i, o.facts.axis) for i, o in changed if o.facts.axis is not None]
    effects = [effect_on(node, i, axis) for i, axis in windows]
    facts.layer_class = rule_of(node).layer_class
    reason = _stop_reason(node, effects, stop_at) or _no_deltas(node)
    if reason is not None:
        facts.layer_class, facts.stops = LayerClass.STOP, reason
        return
    if any(isinstance(e, Resumes) for e in effects):
        facts.resumes = "its state runs on; it resumes from the reference at the first change"
        return
    if any(isinstance(e, Aggregates) for e in effects):
        facts.layer_class = LayerClass.AGGREGATION
        return
    if facts.layer_class is LayerClass.AGGREGATION:
        facts.layer_class = LayerClass.SEE_THROUGH  # it reduces other axes
    if len(windows) == len(changed):
        facts.axis = next(e.axis for e in effects if isinstance(e, Moves))
    elif facts.layer_class in (LayerClass.STOP, LayerClass.RECURRENT):
        facts.layer_class = LayerClass.STOP
        facts.stops = "everything before it may have changed"
    elif windows:
        facts.stops = _lost_among(changed)


def _stop_reason(node: Node, effects: list[Effect], stop_at: frozenset[str]) -> str | None:
    if is_stopped(node, stop_at):
        return "the layer is named in stop_at"
    for effect in effects:
        if isinstance(effect, Stops):
            return effect.reason
    if len({e.axis for e in effects if isinstance(e, Moves)}) > 1:
        return "operands carry positions on different axes"
    return None


def _lost_among(changed: list[tuple[int, Node]]) -> str:
    """Why a window ends where it meets a value that depends on every position: a gate, a norm over positions."""
    names = [o.layer or o.name for _, o in changed if o.facts.axis is None]
    return f"{names[0]} depends on every position; nothing behind it can be windowed"


def _no_deltas(node: Node) -> str | None:
    """Ops that must run on deltas cannot take booleans, which have no difference."""
    if node.type.dtype == "bool" and rule_of(node).delta_only:
        return "truth values are not padded, shifted or reshaped as windows"
    return None


def is_stopped(node: Node, stop_at: frozenset[str]) -> bool:
    """Whether `stop_at` names the node's layer, or a model it is nested in (`outer/inner`)."""
    return node.layer is not None and not stop_at.isdisjoint([node.layer, *node.layer.split("/")])
