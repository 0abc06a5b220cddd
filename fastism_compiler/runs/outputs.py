"""`--outputs`: which outputs of the model are scored, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np

from fastism_compiler.genomics.fields import index_number
from fastism_compiler.ir.errors import OptionError


@dataclass(frozen=True, slots=True)
class Output:
    """One output of the model: its number, name, and an index into it (None: all of it)."""

    number: int
    name: str
    index: tuple[Any, ...] | None = None


def choose_outputs(wanted: Sequence[str], names: Sequence[str]) -> list[Output]:
    """The outputs that are scored.

    An output is `NAME` or `NAME:INDEX`, or its number in place of its name.
    An index is `3` (that entry alone), `3,7` (those), `400-600` (from 400 up
    to, not including, 600), or `*`; further axes follow after further colons,
    as in `profile:400-600:0`.

    Args:
        wanted: such texts; none: all outputs.
        names: of the model's outputs, in order.

    Raises:
        OptionError: an output that the model does not have, or that is chosen twice; an index that is none.
    """
    unique = _unique(names)
    if not wanted:
        return [Output(i, name) for i, name in enumerate(unique)]
    chosen = []
    for text in wanted:
        name, *axes = text.split(":")
        chosen.append(_output(name, axes, names, unique, text))
    if len({o.number for o in chosen}) < len(chosen):
        raise OptionError("an output can be chosen once", got=list(wanted))
    return chosen


def numbers_along(index: Sequence[Any]) -> list[list[int] | None]:
    """Which entries of an output an index selects, as indices into the model's output.

    Args:
        index: of an `Output`.

    Returns:
        For each axis that the index keeps, the selected entries (None: all).
    """
    left = [axis for axis in index if not isinstance(axis, int)]
    return [axis if isinstance(axis, list) else _entries(axis) for axis in left]


def _entries(axis: slice) -> list[int] | None:
    return None if axis == slice(None) else list(range(axis.start, axis.stop))


def numbered(attributes: Mapping[str, Any], name: str, shape: Sequence[int]) -> dict[tuple[int, ...], tuple[int, ...]]:
    """For every number of a stored output: its index in the model's output -> its index in the store.

    Args:
        attributes: of the store.
        name: of the output.
        shape: `*out`, as stored.
    """
    known = dict(attributes.get("numbers", {})).get(name, [])
    along = [numbers or range(extent) for numbers, extent in zip_longest(known, shape)]
    return {tuple(axis[i] for axis, i in zip(along, place, strict=True)): place for place in np.ndindex(*shape)}


def read_ranges(text: str) -> tuple[tuple[int, int], ...]:
    """Change ranges from `10-20,30-45`: half-open, 0-based.

    Raises:
        OptionError: something else.
    """
    ranges = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,18})-([0-9]{1,18})\s*", part)
        if match is None:
            raise OptionError(
                "ranges are written start-end, between commas", expected="10-20,30-45", got=repr(text[:80])
            )
        ranges.append((int(match[1]), int(match[2])))
    return tuple(ranges)


def reduction(name: str) -> Callable[[Any], Any]:
    """`reduce=` of `compile`: this reduction over all axes of every output but the first."""

    def reduce(outputs: Any) -> Any:
        # TensorFlow is imported late: the command line reads this module, and starts without it
        import tensorflow as tf

        from fastism_compiler.emit.functions import function_named  # with TensorFlow

        over = function_named(name)
        return tf.nest.map_structure(
            lambda y: over(y, axis=tuple(range(1, len(y.shape)))) if len(y.shape) > 1 else y, outputs
        )

    return reduce


def as_list(result: Any, outputs: Sequence[Output], keys: Sequence[Any]) -> list[Any]:
    """What a program returned for these outputs, in their order."""
    if isinstance(result, Mapping):
        return [result[keys[o.number]] for o in outputs]
    return list(result) if isinstance(result, list | tuple) else [result]


def _output(name: str, axes: list[str], names: Sequence[str], unique: Sequence[str], text: str) -> Output:
    if name in unique:
        number = unique.index(name)
    elif list(names).count(name) > 1:
        places = [str(i) for i, known in enumerate(names) if known == name]
        raise OptionError("several outputs have this name; choose by number", expected=places, got=repr(text))
    elif name in names:
        number = list(names).index(name)
    elif (given := index_number(name)) is not None and given < len(names):
        number = given
    else:
        raise OptionError("the model has no such output", expected=f"one of {list(unique)}", got=repr(text))
    return Output(number, unique[number], tuple(_axis(a, text) for a in axes) or None)


def _axis(axis: str, text: str) -> Any:
    if axis == "*":
        return slice(None)
    alone = index_number(axis)
    if alone is not None:
        return alone
    if re.fullmatch(r"[0-9]{1,18}-[0-9]{1,18}", axis):
        return slice(*map(int, axis.split("-")))
    if re.fullmatch(r"[0-9]{1,18}(,[0-9]{1,18})+", axis):
        numbers = [int(i) for i in axis.split(",")]
        if len(set(numbers)) < len(numbers):
            raise OptionError("an output index names a number once", got=repr(text))
        return numbers
    raise OptionError("an output index is 3, or 3,7, or 400-600, or *", got=repr(text))


def _unique(names: Sequence[str]) -> list[str]:
    """Names that serve as names of arrays."""
    safe = [re.sub(r"[^A-Za-z0-9_.-]", "_", str(name)) for name in names]
    if len(set(safe)) == len(safe) and all(re.match(r"[A-Za-z0-9]", name) for name in safe):
        return safe
    return [f"output_{i}" for i in range(len(names))]
