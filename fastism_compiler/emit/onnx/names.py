"""clean-names: every value and node gets one short name that no other has, in any subgraph."""

from __future__ import annotations

import re
from collections.abc import Mapping

import onnx

from fastism_compiler.emit.onnx.scopes import subgraphs


def clean_names(model: onnx.ModelProto, outputs: Mapping[str, str]) -> None:
    """Rename values and nodes of a model in place; inputs keep their names.

    Values that two subgraphs define under one name get two, so that a node
    may later move from one to the other.

    Args:
        model: the model.
        outputs: what each output is to be called.
    """
    taken = {v.name for v in model.graph.input} | set(outputs.values())
    kept = {v.name: v.name for v in model.graph.input} | dict(outputs)
    del model.graph.value_info[:]
    _clean(model.graph, kept, taken)


def _clean(graph: onnx.GraphProto, outer: Mapping[str, str], taken: set[str]) -> None:
    """Rename what `graph` defines; `outer` maps what it may read from outside."""
    names = dict(outer)
    for value in [*graph.input, *graph.initializer]:
        if value.name not in outer:
            names[value.name] = _unique(value.name, taken)
        value.name = names[value.name]
    for node in graph.node:
        for inner in subgraphs(node):
            del inner.value_info[:]
            own = {v.name for v in [*inner.input, *inner.initializer]} | {o for n in inner.node for o in n.output}
            _clean(inner, {k: v for k, v in names.items() if k not in own}, taken)
        node.input[:] = [names.get(name, name) for name in node.input]
        for name in node.output:
            if name and name not in outer:
                names[name] = _unique(name, taken)
        node.output[:] = [names.get(name, name) for name in node.output]
        node.name = node.output[0]
    for value in graph.output:
        value.name = names.get(value.name, value.name)


def _unique(name: str, taken: set[str]) -> str:
    """The last part of a TensorFlow name, numbered if it is taken."""
    last = re.sub(r":\d+$", "", name).rstrip("/_").rsplit("/", maxsplit=1)[-1]
    plain = re.sub(r"_+\d*$", "", re.sub(r"\W", "_", last)).strip("_").lower() or "value"
    candidate, number = plain, 1
    while candidate in taken:
        candidate, number = f"{plain}_{number}", number + 1
    taken.add(candidate)
    return candidate
