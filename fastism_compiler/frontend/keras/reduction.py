"""`reduce=` as part of the graph: a sum over a profile is then a sum over what changed of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from fastism_compiler.frontend.keras.lowering import Lowered, lower_onto
from fastism_compiler.ir.queries import rule_of


def fuse_reduction(lowered: Lowered, reduce: Callable[[Any], Any], pack: Callable[[list[Any]], Any]) -> bool:
    """Lower a user's reduction behind the outputs of a lowered model, if it is made of known operations.

    Args:
        lowered: the model; its graph's outputs become the reduced ones.
        reduce: the user's callable on a nest of outputs.
        pack: makes that nest of flat outputs.

    Returns:
        Whether it was; if not (it uses TensorFlow, or ops without a rule), nothing has changed.
    """
    graph = lowered.graph
    inputs = [keras.Input(batch_shape=n.type.shape, dtype=n.type.dtype) for n in graph.outputs]
    try:
        outputs = list(keras.tree.flatten(reduce(pack(list(inputs)))))
        function = keras.Function(inputs, outputs)
    except (
        Exception
    ):  # whatever a user's function raises on symbolic outputs; it then runs on real ones, and may raise there
        return False
    before = set(graph)
    reduced = lower_onto(lowered, function, graph.outputs, prefix="reduce/")
    if any(rule_of(node).opaque for node in set(graph) - before) or any(not n.type.batched for n in reduced):
        return False
    graph.outputs = reduced
    return True
