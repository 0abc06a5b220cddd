"""The nest of a program's outputs as JSON: lists, dicts, and numbers for leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastism_compiler.errors import UnsupportedError


def encode_nest(nest: Any) -> Any:
    """A nest of output numbers as JSON.

    Raises:
        UnsupportedError: something other than lists, tuples and dicts with string keys.
    """
    if isinstance(nest, int):
        return nest
    if isinstance(nest, Mapping) and all(isinstance(key, str) for key in nest):
        return {"dict": {key: encode_nest(value) for key, value in nest.items()}}
    if type(nest) in (list, tuple):
        return {type(nest).__name__: [encode_nest(value) for value in nest]}
    raise UnsupportedError(
        "the outputs of an exported program are arrays, lists, tuples, or dicts with string keys",
        got=type(nest).__name__,
    )


def pack_nest(nest: Any, flat: Sequence[Any]) -> Any:
    """Flat results in an encoded nest."""
    if isinstance(nest, int):
        return flat[nest]
    if "dict" in nest:
        return {key: pack_nest(value, flat) for key, value in nest["dict"].items()}
    values = [pack_nest(value, flat) for value in nest.get("list", nest.get("tuple", []))]
    return values if "list" in nest else tuple(values)
