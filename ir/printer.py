"""The canonical text form: deterministic, one line per node, facts inline.

Grammar (facts that no pass has recorded yet are left out):

    graph  := "graph @" name "(" inputs ")" "{" section* prediction? "return" names "}"
    prediction := "predicted" speed_up naive
    section:= ("reference:" | "tile:") node*
    node   := "%" name ":" type "users=" n "=" op "(" operands ")" attr* fact*
    fact   := layer | class | demand | near | range | segment | form | carrier | kernel parts? | kept | ops
              | stops | resumes
"""

from __future__ import annotations

from typing import Any

from fastism_compiler.ir.facts import Section
from fastism_compiler.ir.node import GraphView, Node
from fastism_compiler.ir.ranges import Constant


def to_text(graph: GraphView) -> str:
    """The whole graph in canonical text form."""
    inputs = ", ".join(f"%{n.name}: {n.type}" for n in graph.inputs)
    lines = [f"graph @{graph.name}({inputs}) {{"]
    for section in Section:
        nodes = [n for n in graph.nodes(section) if n not in graph.inputs]
        if nodes:
            lines.append(f"{section.value}:")
            lines.extend("  " + node_line(n) for n in nodes)
    if graph.prediction is not None:
        lines.append(f"predicted speed_up={graph.prediction.speed_up:.2f} naive={str(graph.prediction.naive).lower()}")
    lines.append("return " + ", ".join(f"%{n.name}" for n in graph.results))
    lines.append("}")
    return "\n".join(lines) + "\n"


def node_line(node: Node) -> str:
    """One node in canonical text form."""
    operands = ", ".join(f"%{n.name}" for n in node.operands)
    uses = len(node.users) + node.graph.results.count(node)
    parts = [f"%{node.name} : {node.type} users={uses} = {node.op}({operands})"]
    parts += [f"{key}={_attr(value)}" for key, value in sorted(node.attrs.items())]
    parts += [f'layer="{node.layer}"'] if node.layer else []
    return " ".join(parts + _facts(node))


def excerpt(graph: GraphView, node: Node, context: int = 2) -> list[str]:
    """The lines around `node`, its own marked, for error messages."""
    nodes = graph.nodes()
    if node not in nodes:
        return []
    where = nodes.index(node)
    window = nodes[max(where - context, 0) : where + context + 1]
    return [("> " if n is node else "  ") + node_line(n)[:160] for n in window]


def _attr(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple | list):
        return "(" + ",".join(_attr(v) for v in value) + ")"
    return str(value)


def _facts(node: Node) -> list[str]:
    facts = node.facts
    parts = []
    if facts.layer_class is not None:
        parts.append(f"class={facts.layer_class}")
    parts += _wanted(node)
    if facts.state is not None and not isinstance(facts.state, Constant):
        parts.append(f"range={facts.state}")
    if facts.segment is not None:
        parts.append(f"segment={facts.segment}")
    if facts.form is not None:
        parts.append(f"form={facts.form}")
    if facts.carrier is not None:
        parts.append(f"carrier={facts.carrier}" + (" shared" if facts.shared_start else ""))
    if facts.kernel is not None:
        parts.append(f"kernel={facts.kernel}" + (f" in {facts.parts} parts" if facts.parts > 1 else ""))
    if facts.kept is not None:
        parts.append(f"kept={facts.kept}")
    if len(facts.ops) > 1:
        parts.append("ops=(" + ", ".join(f"%{name}" for name in facts.ops) + ")")
    reasons = {"stops": facts.stops, "resumes": facts.resumes}
    return parts + [f'{what}="{why}"' for what, why in reasons.items() if why is not None]


def _wanted(node: Node) -> list[str]:
    """What outputs need of a node; left out in the tile, where it is that of the reference node."""
    demand, near = node.facts.demand, node.facts.near
    if node.in_tile:
        return []
    parts = [] if demand is None else [f"demand=[{demand[0]}, {demand[1]})"]
    return parts if near is None else [*parts, f"near={near.describe()}"]
