"""Optional libraries: what to say when one is missing."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fastism_compiler.ir.errors import OptionError


def library(module: str, what: str, name: str, extra: str) -> Any:
    """A module that is not always installed.

    Args:
        module: its name in Python.
        what: what needs it.
        name: its name in English.
        extra: what brings it.

    Raises:
        OptionError: it is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise missing_extra(what, name, extra) from error


def missing_extra(what: str, library: str, extra: str) -> OptionError:
    """The error for a library that is not installed, naming the extra that brings it."""
    return OptionError(
        f"{what} needs {library}",
        expected=f"pip install 'fastism-compiler[{extra}]'",
        got=f"{library} is not installed",
    )
