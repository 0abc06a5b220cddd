"""Graphviz drawing of a graph: one box per node, coloured by class, clustered by section."""

from __future__ import annotations

from fastism_compiler.ir.facts import LayerClass, Section
from fastism_compiler.ir.node import GraphView, Node
from fastism_compiler.ir.queries import rule_of

_COLOURS = {
    LayerClass.INPUT: "#9ecae1",
    LayerClass.LOCAL: "#a1d99b",
    LayerClass.SEE_THROUGH: "#e5f5e0",
    LayerClass.POOLING: "#fdd0a2",
    LayerClass.AGGREGATION: "#dadaeb",
    LayerClass.RECURRENT: "#c7b9d6",
    LayerClass.STOP: "#fcae91",
    LayerClass.CONSTANT: "#f0f0f0",
}


def to_dot(graph: GraphView) -> str:
    """The graph in graphviz's dot language. Parameters and literals are left out."""
    hidden = {n for n in graph.nodes() if rule_of(n).leaf and n not in graph.inputs}
    lines = [
        f'digraph "{graph.name}" {{',
        "  rankdir=TB;",
        '  node [shape=box, style=filled, fontname="Helvetica", fontsize=10];',
    ]
    for section in Section:
        nodes = [n for n in graph.nodes(section) if n not in hidden]
        if not nodes:
            continue
        lines.append(f"  subgraph cluster_{section.value} {{")
        lines.append(f'    label="{section.value}";')
        lines.extend(f"    {_box(n)}" for n in nodes)
        lines.append("  }")
    for node in graph.nodes():
        for producer in node.operands:
            if producer not in hidden and node not in hidden:
                lines.append(f"  n{producer.id} -> n{node.id};")
    lines.append("}")
    return "\n".join(lines) + "\n"


def _box(node: Node) -> str:
    label = f"{node.op}\\n{node.layer or node.name}\\n{node.type}"
    if node.facts.state is not None:
        label += f"\\n{node.facts.state}"
    colour = _COLOURS.get(node.facts.layer_class or LayerClass.SEE_THROUGH)
    return f'n{node.id} [label="{label}", fillcolor="{colour}"];'
