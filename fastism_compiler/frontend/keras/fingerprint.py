"""What a compiled program depends on besides the values of variables: which layers compute what, by layer name.

A program follows its model's variables as they change. It cannot follow what was decided when it was lowered: a LoRA
adapter that is added, a quantization, another dtype policy, another activation, a number or an array that a layer
keeps. Comparing fingerprints finds these, layer by layer.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fastism_compiler.frontend.keras import private

Fingerprint = Mapping[str, Mapping[str, Any]]
"""Layer name -> attribute -> what it holds, in a form that compares equal as long as nothing is replaced."""

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_KNOWN = (keras.Variable, keras.DTypePolicy)
_BY_IDENTITY = (FunctionType, BuiltinFunctionType, MethodType, type, *_KNOWN)
_IN_TRAINING = frozenset(
    (
        "compiled", "optimizer", "loss", "loss_weights", "metrics", "train_function", "test_function",
        "predict_function", "stop_training", "stop_evaluating", "stop_predicting", "steps_per_execution",
        "unrolled_steps_per_execution", "run_eagerly", "jit_compile", "auto_scale_loss", "history", "momentum",
        "output_names",
    )
)  # fmt: skip
"""Attributes of models, and of layers of Keras, that training and predicting set or read, and inference does not."""
_NOTES = frozenset(("built", "name", "supports_masking", "supports_jit", "call_signature_parameters"))
"""Attributes that Keras sets on every layer; they are not compared."""
_DEEPEST = 4
"""Levels of nested attributes that are compared."""
_LARGEST = 1 << 24
"""Bytes of a numpy array up to which its content is compared; a larger one is compared by identity."""


def fingerprint(model: Any) -> Fingerprint:
    """The fingerprint of a model as it is now.

    It keeps its objects (variables, functions, tensors) alive, so that no new object can get the `id` of one of them.
    """
    return {f"{number}:{layer.name}": _of(layer) for number, layer in enumerate([model, *private.layers_of(model)])}


def steady(one: Fingerprint, other: Fingerprint) -> Fingerprint:
    """The first of two fingerprints of a model in use, with what differs between them left out of comparisons.

    What a layer's `call` itself writes (a counter, the last scores) differs, but is no change of the model; such
    attributes are marked.
    """
    return {
        layer: {
            name: value if _alike(value, other.get(layer, {}).get(name)) else _WRITTEN for name, value in of.items()
        }
        | dict.fromkeys(other.get(layer, {}).keys() - of.keys(), _WRITTEN)
        for layer, of in one.items()
    }


def changed_layers(before: Fingerprint, now: Fingerprint) -> list[str]:
    """Names of the layers that compute something else, or are not in both."""
    names = [*before, *(name for name in now if name not in before)]
    return [name.partition(":")[2] for name in names if not _same(before.get(name), now.get(name))]


_WRITTEN = object()
"""In the place of an attribute that changes while the model is used."""


def _of(layer: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"class": type(layer), "call": type(layer).call}
    own = private.is_custom(layer)
    unread = _NOTES if own and not isinstance(layer, keras.Model) else _NOTES | _IN_TRAINING
    for name, value in vars(layer).items():
        watched = name not in unread and (not name.startswith("_") or (own and name not in _OF_KERAS))
        if watched or isinstance(value, _KNOWN):
            found[name] = _snapshot(value, _DEEPEST)
    return found


def _of_any_layer() -> frozenset[str]:
    layer = keras.layers.Identity()
    layer(np.zeros((1, 1), "float32"))
    return frozenset(vars(layer))


_OF_KERAS = _of_any_layer()
"""What Keras itself keeps in every layer."""


def _snapshot(value: Any, depth: int) -> Any:
    """A value in a form that compares equal to that of the same value."""
    if type(value) in _PLAIN or _by_identity(value):
        return value
    if isinstance(value, list | tuple):
        return (type(value), *(_snapshot(v, depth - 1) for v in value)) if depth else type(value)
    if isinstance(value, dict):
        return (dict, *((key, _snapshot(v, depth - 1)) for key, v in value.items())) if depth else dict
    if isinstance(value, partial):
        return (partial, _snapshot((value.func, value.args, value.keywords), depth))
    if isinstance(value, np.ndarray):
        small = value.nbytes <= _LARGEST and value.dtype != object
        return (value.shape, value.dtype.str, zlib.crc32(value.tobytes())) if small else value
    own = not type(value).__module__.startswith(("keras.", "tensorflow.", "builtins", "threading", "_thread"))
    return (
        (type(value), _snapshot(vars(value), depth - 1))
        if own and depth and hasattr(value, "__dict__")
        else type(value)
    )


def _by_identity(value: Any) -> bool:
    return isinstance(value, _BY_IDENTITY) or (tf.is_tensor(value) and hasattr(value, "numpy"))


def _same(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> bool:
    if one is None or other is None:
        return False
    names = one.keys() | other.keys()
    return all(one.get(name) is _WRITTEN or _alike(one.get(name), other.get(name)) for name in names)


def _alike(a: Any, b: Any) -> bool:
    """The same object; equal plain values, and policies of one name; the same inside."""
    if a is b:
        return True
    if isinstance(a, keras.DTypePolicy) and isinstance(b, keras.DTypePolicy):
        return bool(a.name == b.name)
    if type(a) is not type(b):
        return False
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_alike, a, b))
    return isinstance(a, (*_PLAIN, MethodType)) and bool(a == b)


class Watch:
    """A quick test whether no attribute of any layer was replaced since a fingerprint was last found unchanged.

    It compares attributes by identity. It can only confirm that nothing changed; where a layer keeps a mutable object
    (a list, an array), it never confirms.
    """

    def __init__(self) -> None:
        self._before: Fingerprint | None = None
        self._seen: list[tuple[Any, Any, dict[str, Any]]] = []

    def look(self, before: Fingerprint, model: Any) -> None:
        """Remember the attributes of a model whose fingerprint is still `before`."""
        layers = [model, *private.layers_of(model)]
        fixed = all(_is_fixed(value) for of in before.values() for value in of.values())
        self._before = before if fixed else None
        self._seen = [(layer, type(layer).call, dict(vars(layer))) for layer in layers] if fixed else []

    def untouched(self, before: Fingerprint, model: Any) -> bool:
        """Whether nothing was replaced since `look`."""
        if before is not self._before:
            return False
        layers = [model, *private.layers_of(model)]
        if len(layers) != len(self._seen):
            return False
        for layer, (known, call, attributes) in zip(layers, self._seen, strict=True):
            now = vars(layer)
            if layer is not known or type(layer).call is not call or len(now) != len(attributes):
                return False
            if any(now.get(name) is not value for name, value in attributes.items()):
                return False
        return True


def _is_fixed(value: Any) -> bool:
    """Whether a snapshot is of a value that cannot change inside."""
    if isinstance(value, tuple):
        return value[:1] == (tuple,) and all(map(_is_fixed, value[1:]))
    return value is not _WRITTEN
