"""Sizes of the published models: checked by name before Keras is asked to build with them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec

from fastism_compiler.arguments import number, or_none, whole
from fastism_compiler.errors import first_line
from fastism_compiler.ir.errors import OptionError

P = ParamSpec("P")
_MAY_BE_ZERO = ("attention", "blocks", "crop", "dilated", "seed")
_LARGEST = 2**31 - 1
"""Keras counts the elements of a shape in 64 bits, two such sizes together."""
_SMALLEST_SCALE, _LARGEST_SCALE = 1e-3, 64


def checked_sizes(build: Callable[P, Any]) -> Callable[P, Any]:
    """Check the arguments of a builder: whole numbers in range, a `scale` above zero.

    Raises (the builder that is returned):
        OptionError: a size of another kind, or one of which the layers cannot be built.
    """
    signature = inspect.signature(build)

    @functools.wraps(build)
    def checked(*args: P.args, **kwargs: P.kwargs) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        for name, value in given.items():
            _check(name, value, optional=signature.parameters[name].default is None)
        try:
            return build(*args, **kwargs)
        except (ValueError, OverflowError, MemoryError) as error:
            sizes = ", ".join(f"{name}={value}" for name, value in given.items()) or "the default sizes"
            raise OptionError(
                f"{build.__name__} cannot be built with these sizes", got=f"{sizes}: {first_line(error)}"
            ) from error

    return checked


def _check(name: str, value: Any, *, optional: bool) -> None:
    if name == "scale":
        if number(name, value, _SMALLEST_SCALE) > _LARGEST_SCALE:
            raise OptionError("scale= is too large", expected=f"at most {_LARGEST_SCALE}", got=value)
        return
    size = (or_none(_size) if optional else _size)(name, value)
    if size is not None and size > _LARGEST:
        raise OptionError(f"{name}= is too large", expected=f"at most {_LARGEST}", got=size)


def _size(name: str, value: Any) -> int:
    return whole(name, value, least=0 if name in _MAY_BE_ZERO else 1)
