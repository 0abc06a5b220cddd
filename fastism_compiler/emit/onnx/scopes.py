"""Walking ONNX graphs: a node's subgraphs, and renaming the values they read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import onnx


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs among a node's attributes: loop bodies, branches."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        yield from attribute.graphs


def rename_reads(graph: onnx.GraphProto, names: Mapping[str, str]) -> None:
    """Let every node of `graph`, its outputs and its subgraphs read other names.

    Names are those of values that `graph` does not define itself, or whose
    definitions the caller renames or takes away.
    """
    for node in graph.node:
        for position, name in enumerate(node.input):
            if name in names:
                node.input[position] = names[name]
        for inner in subgraphs(node):
            rename_reads(inner, names)
    for output in graph.output:
        output.name = names.get(output.name, output.name)


def reads(node: onnx.NodeProto) -> set[str]:
    """Every value a node reads, including those that its subgraphs read from outside."""
    names = {name for name in node.input if name}
    for graph in subgraphs(node):
        names |= free_names(graph)
    return names


def free_names(graph: onnx.GraphProto) -> set[str]:
    """Values that a graph reads and does not define."""
    defined = {v.name for v in graph.input} | {t.name for t in graph.initializer}
    free: set[str] = set()
    for node in graph.node:
        free |= reads(node) - defined
        defined |= set(node.output)
    return free | {v.name for v in graph.output} - defined
