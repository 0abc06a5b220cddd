"""hoist: nodes that compute the same in every iteration of a loop move in front of it."""

from __future__ import annotations

import onnx

from fastism_compiler.emit.onnx.scopes import reads, rename_reads, subgraphs

_OWN = 2
"""Inputs of a loop, and of its body, in front of the carried values: a count of iterations, and the condition."""
_NOT_REPEATABLE = ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli")


def hoist_invariants(model: onnx.ModelProto) -> None:
    """Take loop invariants out of every Loop, innermost first, in place. Names must be unique in the whole model.

    1. A loop-carried value that no iteration changes becomes a read of the outer value.
    2. A constant of the body becomes one of the graph around it.
    3. A node that reads nothing of the loop's own moves in front of the loop.

    The first matters most: ONNX Runtime copies what a loop carries.
    """
    _hoist(model.graph)


def _hoist(graph: onnx.GraphProto) -> None:
    nodes: list[onnx.NodeProto] = []
    for node in list(graph.node):
        for inner in subgraphs(node):
            _hoist(inner)
        if node.op_type == "Loop":
            body = next(subgraphs(node))
            rename_reads(graph, _uncarry(node, body))
            graph.initializer.extend(body.initializer)
            del body.initializer[:]
            nodes.extend(_take_invariants(body))
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


def _uncarry(loop: onnx.NodeProto, body: onnx.GraphProto) -> dict[str, str]:
    """Drop carried values that never change; the loop's outputs for them, and what stands there instead."""
    carried = len(loop.input) - _OWN
    same = [k for k in range(carried) if body.output[1 + k].name == body.input[_OWN + k].name]
    outer = {body.input[_OWN + k].name: loop.input[_OWN + k] for k in same}
    results = {loop.output[k]: loop.input[_OWN + k] for k in same if loop.output[k]}
    for k in reversed(same):
        del body.input[_OWN + k], body.output[1 + k], loop.input[_OWN + k], loop.output[k]
    rename_reads(body, outer)
    return results


def _take_invariants(body: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Remove from a body the nodes that depend on nothing inside; return them in order."""
    inside = {v.name for v in body.input}
    outputs = {v.name for v in body.output}
    moved, left = [], []
    for node in body.node:
        depends = not inside.isdisjoint(reads(node))
        if depends or node.op_type in _NOT_REPEATABLE or not outputs.isdisjoint(node.output):
            inside |= set(node.output)
            left.append(node)
        else:
            moved.append(node)
    del body.node[:]
    body.node.extend(left)
    return moved
