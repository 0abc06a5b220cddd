"""What a compiled program rests on besides the values of variables: which layers compute what, by name of the layer.

A program follows its model's variables as they change. It cannot follow what was decided when it was lowered: a LoRA
adapter that is added, a quantization, another dtype policy, an activation or a weight that is put in the place of
another. Comparing fingerprints finds these, layer by layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

import keras

from fastism_compiler.frontend.keras import private

Fingerprint = Mapping[str, tuple[Any, ...]]
"""Layer name -> what it computes with; values compare equal as long as nothing is replaced."""

_PLAIN = (bool, int, float, str, tuple, type(None))
_IN_TRAINING = frozenset(
    (
        "built", "compiled", "optimizer", "loss", "metrics", "supports_masking", "supports_jit", "name",
        "train_function", "test_function", "predict_function", "stop_training", "stop_evaluating", "stop_predicting",
        "steps_per_execution", "unrolled_steps_per_execution", "run_eagerly", "jit_compile", "auto_scale_loss",
    )
)  # fmt: skip
"""Attributes that training, predicting and saving set, and that inference does not read."""


def fingerprint(model: Any) -> Fingerprint:
    """The fingerprint of a model as it is now.

    Objects in it (variables, functions) are kept alive by it, so that none can take the identity of another.
    """
    return {f"{number}:{layer.name}": _of(layer) for number, layer in enumerate([model, *private.layers_of(model)])}


def changed_layers(one: Fingerprint, other: Fingerprint) -> list[str]:
    """Names of the layers that compute something else, or are not in both."""
    names = [*one, *(name for name in other if name not in one)]
    return [name.partition(":")[2] for name in names if not _same(one.get(name), other.get(name))]


def _of(layer: Any) -> tuple[Any, ...]:
    found: list[Any] = [type(layer)]
    for name, value in vars(layer).items():
        if isinstance(value, keras.Variable | keras.DTypePolicy) or (_is_public(name) and _is_plain(value)):
            found += [name, value]
    return tuple(found)


def _is_public(name: str) -> bool:
    return not name.startswith("_") and name not in _IN_TRAINING


def _is_plain(value: Any) -> bool:
    return type(value) in _PLAIN or type(value) is FunctionType


def _same(one: tuple[Any, ...] | None, other: tuple[Any, ...] | None) -> bool:
    if one is None or other is None or len(one) != len(other):
        return False
    return all(_alike(a, b) for a, b in zip(one, other, strict=True))


def _alike(a: Any, b: Any) -> bool:
    """The same object; or equal plain values, and policies of one name."""
    if a is b:
        return True
    if isinstance(a, keras.DTypePolicy) and isinstance(b, keras.DTypePolicy):
        return bool(a.name == b.name)
    return type(a) is type(b) and type(a) in _PLAIN and bool(a == b)
