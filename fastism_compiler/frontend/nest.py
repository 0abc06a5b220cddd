"""Nests of outputs: lists, tuples and dicts around numbers that say which output of the flat list stands there.

A nest that holds numbers does not depend on the order in which a library
flattens a dict: Keras keeps that of an `OrderedDict`, TensorFlow sorts it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf


def numbered(structure: Any) -> tuple[Any, list[Any]]:
    """A nest of values as a nest of numbers, and the values by number."""
    leaves = list(tf.nest.flatten(structure))
    return tf.nest.pack_sequence_as(structure, list(range(len(leaves)))), leaves


def pack(nest: Any, flat: Sequence[Any]) -> Any:
    """Flat values in a nest of numbers."""
    return tf.nest.map_structure(lambda number: flat[number], nest)


def unpack(nest: Any, packed: Any) -> list[Any]:
    """Values packed as `nest`, flat again."""
    values: dict[int, Any] = {}
    tf.nest.map_structure(values.__setitem__, nest, packed)
    return [values[number] for number in range(len(values))]


def keys_of(nest: Any) -> list[Any] | None:
    """The keys of a dict of outputs in flat order; None for another nest."""
    if not isinstance(nest, Mapping) or any(not isinstance(value, int) for value in nest.values()):
        return None
    return sorted(nest, key=lambda key: nest[key])
