"""Which lowering rule applies to a Keras operation."""

from __future__ import annotations

from typing import Any

from fastism_compiler.frontend import attention, convolutions, layers, operations, recurrent
from fastism_compiler.frontend.keras_graph import is_keras_operation
from fastism_compiler.frontend.lowering import Rule

LAYERS: dict[type, Rule] = {**convolutions.LAYERS, **layers.LAYERS, **recurrent.LAYERS, **attention.LAYERS}

_CALLS: dict[type, Any] = {layer: layer.call for layer in LAYERS}  # type: ignore[attr-defined]


def rule_for(operation: Any) -> Rule | None:
    """The rule of an operation's class, or of a base class whose `call` it inherits unchanged."""
    kind: Any = type(operation)
    if is_keras_operation(operation):
        return operations.OPERATIONS.get(kind.__name__)
    for base in kind.__mro__:
        if base in LAYERS:
            return LAYERS[base] if kind.call is _CALLS[base] else None
    return None
