"""Checks of the arguments of public functions; each error names the argument."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fastism_compiler.ir.errors import OptionError

T = TypeVar("T")
_SHOWN = 80
"""Characters of a wrong value that a message shows."""


def flag(name: str, value: Any) -> bool:
    """True or False; 1 and 0 are accepted too.

    Raises:
        OptionError: anything else.
    """
    if not isinstance(value, bool | int | np.bool_) or value not in (0, 1):
        raise _wrong(name, value, "True or False")
    return bool(value)


def whole(name: str, value: Any, least: int | None = None) -> int:
    """A whole number.

    Raises:
        OptionError: anything else, or one below `least`.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise _wrong(name, value, "a whole number")
    if least is not None and value < least:
        raise OptionError(f"{name}= is too small", expected=f"a whole number from {least}", got=value)
    return int(value)


def number(name: str, value: Any, least: float) -> float:
    """A finite number, at least `least`.

    Raises:
        OptionError: anything else.
    """
    kind = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not kind or not least <= value < math.inf:  # NaN is neither
        raise _wrong(name, value, f"a finite number from {least:g}")
    return float(value)


def text(name: str, value: Any) -> str:
    """A text.

    Raises:
        OptionError: anything else.
    """
    if not isinstance(value, str):
        raise _wrong(name, value, "a text")
    return value


def position_or_name(name: str, value: Any) -> int | str:
    """A whole number, or a text.

    Raises:
        OptionError: anything else.
    """
    return value if isinstance(value, str) else whole(name, value)


def several(kind: Callable[[str, Any], T]) -> Callable[[str, Any], tuple[T, ...]]:
    """Several values of a kind: a list, a tuple or an array of them."""

    def read(name: str, values: Any) -> tuple[T, ...]:
        listed = isinstance(values, Sequence) and not isinstance(values, str | bytes)
        if not listed and not (isinstance(values, np.ndarray) and values.ndim):
            raise _wrong(name, values, "a list")
        return tuple(kind(name, value) for value in values)

    return read


def pair(name: str, values: Any) -> tuple[int, int]:
    """Two whole numbers.

    Raises:
        OptionError: anything else.
    """
    numbers = several(whole)(name, values)
    if len(numbers) != 2:
        raise _wrong(name, values, "two whole numbers")
    return numbers[0], numbers[1]


def or_none(kind: Callable[[str, Any], T]) -> Callable[[str, Any], T | None]:
    """A value of a kind, or None."""
    return lambda name, value: None if value is None else kind(name, value)


def instance(name: str, value: Any, kind: type[T]) -> T:
    """An object of a class.

    Raises:
        OptionError: anything else.
    """
    if not isinstance(value, kind):
        raise _wrong(name, value, kind.__name__)
    return value


def path(name: str, value: Any) -> Path:
    """A path that a file can have.

    Raises:
        OptionError: anything else.
    """
    if not isinstance(value, str | os.PathLike) or not isinstance(found := os.fspath(value), str) or "\0" in found:
        raise _wrong(name, value, "a path")
    return Path(found)


def _wrong(name: str, value: Any, expected: str) -> OptionError:
    shown = repr(value)
    shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}..."
    return OptionError(f"{name}= has a wrong value", expected=expected, got=shown)
