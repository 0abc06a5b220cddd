"""Which lowering rule applies to a Keras operation."""

from __future__ import annotations

from typing import Any

from fastism_compiler.frontend.builder import Rule
from fastism_compiler.frontend.keras import attention, convolutions, layers, operations, recurrent
from fastism_compiler.frontend.keras.private import is_keras_operation

LAYERS: dict[type, Rule] = {**convolutions.LAYERS, **layers.LAYERS, **recurrent.LAYERS, **attention.LAYERS}

_CALLS: dict[type, Any] = {layer: layer.call for layer in LAYERS}  # type: ignore[attr-defined]


def rule_for(operation: Any) -> Rule | None:
    """The rule of an operation's class, or of a base class from which it inherits all that `call` may use."""
    kind: Any = type(operation)
    if is_keras_operation(operation):
        return operations.OPERATIONS.get(kind.__name__)
    for base in kind.__mro__:
        if base in LAYERS:
            return LAYERS[base] if kind.call is _CALLS[base] and not _overrides(kind, base) else None
    return None


_MAKING = ("build", "get_config", "from_config", "compute_output_shape", "compute_output_spec", "build_from_config")
"""Methods that a subclass may override without changing what it computes, besides dunder methods."""


def _overrides(kind: type, base: type) -> bool:
    """Whether a class overrides anything else of a base class (a hook, a property)."""
    between = kind.__mro__[: kind.__mro__.index(base)]
    own = {name for part in between for name in vars(part) if not name.startswith("__") and name not in _MAKING}
    return any(hasattr(base, name) for name in own)
