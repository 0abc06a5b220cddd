"""The user's own classes, named on a command line or in settings: modules to import, and `NAME=MODULE:CLASS`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from fastism_compiler.ir.errors import OptionError


def load_custom(imports: Sequence[str], custom: Sequence[str]) -> dict[str, Any]:
    """Import what a user named, and return the custom objects to load a model file with, by name.

    Modules are looked for where Python looks, and after that in the current folder.

    Args:
        imports: modules that register classes with Keras, or rules with `register_layer`, when they are imported.
        custom: `NAME=MODULE:CLASS`: what a model file calls NAME is CLASS of MODULE.

    Raises:
        OptionError: a module that cannot be imported, a class that it does not have, or text of another form.
    """
    for name in imports:
        _imported(name, "--import")
    return dict(_custom_object(text) for text in custom)


def _custom_object(text: str) -> tuple[str, Any]:
    name, _, place = text.partition("=")
    module, _, path = place.partition(":")
    if not (name and module and path):
        raise OptionError("--custom needs a name, a module and a class", expected="NAME=MODULE:CLASS", got=repr(text))
    found: Any = _imported(module, "--custom")
    for part in path.split("."):
        if not hasattr(found, part):
            raise OptionError(
                "the module of --custom has no such class", expected=f"{part} in {module}", got=repr(text)
            )
        found = getattr(found, part)
    return name, found


def _imported(name: str, option: str) -> ModuleType:
    folder = os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)  # stays: the module may import its neighbours later
    try:
        return import_module(name)
    except Exception as error:  # it runs the user's own code, which may raise anything
        raise OptionError(
            f"the module of {option} cannot be imported",
            expected="a module as Python's import names it, installed or in the current folder",
            got=f"{name!r}: {type(error).__name__}: {error}",
        ) from error
