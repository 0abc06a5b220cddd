"""The verifier: what must hold of every graph, and of a graph at each stage.

`STAGES` is the stage spec as data: after pass `name`, every reference node
that depends on the sequence (or every tile node) has these facts. A stage
keeps the demands of the stages before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastism_compiler.ir.errors import IRError
from fastism_compiler.ir.facts import Form, LayerClass, Section
from fastism_compiler.ir.graph import Graph
from fastism_compiler.ir.node import Node
from fastism_compiler.ir.ops import MACRO_OPS, RULES, TILE_OPS
from fastism_compiler.ir.queries import call_of, rule_of
from fastism_compiler.ir.ranges import Window

Check = Callable[[Node], str | None]
"""Says what is wrong with a node, or None."""


@dataclass(frozen=True, slots=True)
class StageSpec:
    """What a pass promises about the nodes of each section."""

    reference: tuple[Check, ...] = ()
    tile: tuple[Check, ...] = ()


def verify(graph: Graph, after: tuple[str, ...] = ()) -> None:
    """Check the graph, and the stage specs of the passes that have run.

    Args:
        graph: the graph to check.
        after: names of the passes that have run, in order.

    Raises:
        IRError: the first broken rule, with the node and its neighbours.
    """
    _check_interface(graph)
    lowered = "insert-slice-assign" in after
    for node in graph:
        _check_node(node)
        if node.in_tile and not lowered:
            raise IRError("tile nodes exist only after insert-slice-assign", node=node)
    for name in after:
        spec = STAGES.get(name, StageSpec())
        for section, checks in ((Section.REFERENCE, spec.reference), (Section.TILE, spec.tile)):
            for node in graph.nodes(section):
                for check in checks:
                    complaint = check(node)
                    if complaint:
                        raise IRError(f"after {name}: {complaint}", node=node)


def _check_interface(graph: Graph) -> None:
    for node in [*graph.inputs, *graph.outputs, *graph.tile_outputs]:
        if node not in graph:
            raise IRError("inputs and outputs must belong to the graph", node=node)
    if graph.sequence is not None and graph.sequence not in graph.inputs:
        raise IRError("the sequence must be one of the inputs", node=graph.sequence)
    names = [n.name for n in graph]
    if len(set(names)) != len(names):
        raise IRError("node names must be unique")


def _check_node(node: Node) -> None:
    if node.op not in RULES:
        raise IRError("every op must have a rule", got=node.op, node=node)
    if (node.op in TILE_OPS) and not node.in_tile:
        raise IRError("slice-assign ops live in the tile section", node=node)
    if node.op in ("input", "parameter", "keras_call"):
        return
    call = call_of(node)
    inferred = rule_of(node).infer(call.operands, node.attrs)
    if inferred.shape != node.type.shape:
        raise IRError("a node's type must be what its rule infers", expected=inferred, got=node.type, node=node)
    if node.section is Section.REFERENCE and any(o.in_tile for o in node.operands):
        raise IRError("a reference node must not read a tile node", node=node)


def _expanded(node: Node) -> str | None:
    return "a macro op is left" if node.op in MACRO_OPS else None


def _classified(node: Node) -> str | None:
    return "a node has no class" if node.facts.layer_class is None else None


def _stop_has_reason(node: Node) -> str | None:
    missing = node.facts.layer_class is LayerClass.STOP and not node.facts.stops
    return "a stop gives no reason" if missing else None


def _demanded(node: Node) -> str | None:
    return "a node with positions has no demand" if node.facts.axis is not None and node.facts.demand is None else None


def _ranged(node: Node) -> str | None:
    state = node.facts.state
    if state is None:
        return "a node has no change range"
    if isinstance(state, Window):
        if state.axis != node.facts.axis or state.length != node.type.extent(state.axis):
            return "a window lies on another axis or length than its node"
        if (state.ranges.lo < 0).any() or (state.ranges.hi > state.length).any():
            return f"a change range leaves [0, {state.length})"
    return None


def _segmented(node: Node) -> str | None:
    missing = node.changes and (node.facts.segment is None or node.facts.form is None)
    return "a changed node belongs to no segment" if missing else None


def _has_form(node: Node) -> str | None:
    return "a tile node has no form" if node.facts.form is None or node.facts.state is None else None


def _forms_agree(node: Node) -> str | None:
    forms = [o.facts.form for o in node.operands if o.in_tile]
    if node.op in ("reference_window", "zero_delta"):
        return None  # the second operand only says where
    if node.op == "slice_assign":
        legal = forms[:1] == [Form.DELTA]
    elif node.op == "difference":
        legal = forms[:1] == [Form.VALUE]
    else:
        legal = all(f in (node.facts.form, Form.REFERENCE) for f in forms)
    return None if legal else f"operands of forms {[str(f) for f in forms]} make a {node.facts.form}"


def _delta_ops_are_linear(node: Node) -> str | None:
    if node.facts.form is not Form.DELTA or node.op in TILE_OPS:
        return None
    changed = [o.facts.form is Form.DELTA for o in node.operands]
    return None if rule_of(node).linear(call_of(node), changed) else "a nonlinear op got a delta"


def _has_kernel(node: Node) -> str | None:
    needs = rule_of(node).contraction and node.facts.form is Form.DELTA
    return "a linear op has no kernel" if needs and node.facts.kernel is None else None


def _carried(node: Node) -> str | None:
    if not node.has_window:
        return None
    carrier = node.facts.carrier
    if carrier is None:
        return "a tile window has no carrier"
    if not carrier.covers(node.window.ranges):
        return f"carrier {carrier} does not cover change range {node.facts.state}"
    return None


STAGES: dict[str, StageSpec] = {
    "canonicalize": StageSpec(reference=(_expanded,)),
    "classify-layers": StageSpec(reference=(_classified, _stop_has_reason)),
    "demand": StageSpec(reference=(_demanded,)),
    "propagate-ranges": StageSpec(reference=(_ranged,)),
    "segment": StageSpec(reference=(_segmented,)),
    "insert-slice-assign": StageSpec(tile=(_has_form, _forms_agree, _delta_ops_are_linear)),
    "select-kernels": StageSpec(tile=(_has_kernel,)),
    "plan-tiles": StageSpec(tile=(_carried,)),
}
"""The facts each pass owes, checked after it and after every later pass."""
