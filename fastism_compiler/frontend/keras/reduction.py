"""`reduce=` as part of the graph: a sum over a profile then adds up only its changed part."""

from __future__ import annotations

import keras

from fastism_compiler.frontend.bindings import Bindings
from fastism_compiler.frontend.keras.lowering import lower_onto
from fastism_compiler.frontend.source import FlatFunction
from fastism_compiler.ir import Graph, Node
from fastism_compiler.ir.queries import rule_of


def append_function(graph: Graph, bindings: Bindings, function: FlatFunction) -> list[Node] | None:
    """Append a user's function of the outputs to a lowered model, if it is made of known operations.

    Args:
        graph: the model, changed; where None is returned, unused nodes may stay in it.
        bindings: of the model, changed.
        function: the user's callable on flat outputs.

    Returns:
        Its results; None if it uses TensorFlow, or operations without a rule.
    """
    inputs = [keras.Input(batch_shape=n.type.shape, dtype=n.type.dtype) for n in graph.outputs]
    try:
        traced = keras.Function(inputs, function(list(inputs)))
    except (
        Exception
    ):  # whatever a user's function raises on symbolic outputs; it then runs on real ones, and may raise there
        return None
    before = set(graph)
    results = lower_onto(graph, bindings, traced, graph.outputs, prefix="reduce/")
    if any(rule_of(node).opaque for node in set(graph) - before) or any(not n.type.batched for n in results):
        return None
    return results
