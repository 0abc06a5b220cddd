"""Model configurations checked against the list of what a file may name, before anything is built from them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras

from fastism_compiler.errors import ModelError
from fastism_compiler.frontend.keras import allowed
from fastism_compiler.frontend.keras.file_config import FileConfig

Known = Callable[[Any], bool]
"""Whether a name stands for a class or function that the user gave or registered."""

Kind = Literal["code", "unknown", "call", "file", "operation"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a file may not ask for.

    Attributes:
        kind: why not.
        name: what it is; for an unknown class, the key that `custom_objects` needs.
        module: where the file says that it comes from, or "".
        layer: the innermost layer or model that asks for it, or "".
    """

    kind: Kind
    name: str
    module: str
    layer: str

    def __str__(self) -> str:
        module = f" of {self.module}" if self.module else ""
        layer = f" (layer {self.layer!r})" if self.layer else ""
        return f"{self.name}{module}{layer}"


def known_names(custom_objects: Mapping[str, Any] | None, library: Any) -> Known:
    """A test for names that a library resolves by itself: in `custom_objects`, or registered with it.

    Args:
        custom_objects: of the user.
        library: `keras` or `tf_keras`: each has a registry of its own.
    """
    given = custom_objects or {}

    def known(name: Any) -> bool:
        return isinstance(name, str) and (name in given or library.saving.get_registered_object(name) is not None)

    return known


def check_config(config: FileConfig, known: Known) -> None:
    """Refuse a model file that asks for more than layers that compute.

    Args:
        config: of the file.
        known: what the user gave or registered.

    Raises:
        ModelError: it holds Python code, or names a class, function or file that is not allowed.
    """
    found = list(findings(config, known))
    for kind in _REFUSALS:
        _refuse(config, kind, found)


def check_names(config: FileConfig, known: Known) -> None:
    """Say which custom classes are missing, where a file could not be loaded.

    Raises:
        ModelError: at least one is.
    """
    _refuse(config, "unknown", list(findings(config, known)))


def _refuse(config: FileConfig, kind: Kind, found: list[Finding]) -> None:
    """Raise where something of this kind was found."""
    these = [f for f in found if f.kind == kind]
    if these:
        rule, expected = _REFUSALS[kind]
        shown = ", ".join(map(str, these[:5])) + (", ..." if len(these) > 5 else "")
        raise ModelError(rule, expected=expected.format(name=these[0].name), got=f"{config.path}: {shown}")


def findings(config: FileConfig, known: Known) -> Iterator[Finding]:
    """Whatever a configuration names and may not name, without repetition."""
    seen = set()
    for reference, layer, bare in _references(config):
        finding = _judge(reference, layer, bare, known)
        if finding is not None and finding not in seen:
            seen.add(finding)
            yield finding


def _references(config: FileConfig) -> Iterator[tuple[dict[str, Any], str, bool]]:
    """Every dict with a class name, however deep; the layer it belongs to; whether its name alone says what it is."""
    root = {k: v for k, v in config.root.items() if k != "compile_config"}  # models are loaded without compiling them
    waiting: list[tuple[Any, str]] = [(root, "")]
    while waiting:
        value, layer = waiting.pop()
        if isinstance(value, list):
            waiting.extend((v, layer) for v in reversed(value))
        elif isinstance(value, dict):
            layer = _layer_name(value) or layer
            if "class_name" in value:
                # where Keras looks at the class name only, a module and a registered name beside it mean nothing
                legacy = "module" not in value or "__passive_serialization__" in value
                yield value, layer, legacy or (value is root and not config.archive)
            waiting.extend((v, layer) for v in reversed(value.values()))


def _layer_name(value: dict[str, Any]) -> str:
    inner = value.get("config")
    name = inner.get("name") if isinstance(inner, dict) and "class_name" in value else None
    return name if isinstance(name, str) else ""


def _judge(reference: dict[str, Any], layer: str, bare: bool, known: Known) -> Finding | None:
    name, module, config = reference["class_name"], reference.get("module"), reference.get("config")
    if not isinstance(name, str) or not isinstance(module, str | None):
        return Finding("unknown", str(name), str(module or ""), layer)
    if name in allowed.PLAIN_DATA:
        return None
    if name == allowed.BYTECODE or (name == "Lambda" and not _only_names_functions(config, known)):
        return Finding("code", name, "", layer)
    if name == "function":
        return _judge_function(config, module, layer, known)
    key = name if bare else reference.get("registered_name", name)
    if name not in allowed.TYPE_SPECS and known(key):
        return None
    shown = Finding("unknown", key if isinstance(key, str) else name, "" if bare else module or "", layer)
    return _judge_class(name, None if bare else module, shown) or _judge_arguments(name, config, layer)


def _judge_class(name: str, module: str | None, unknown: Finding) -> Finding | None:
    """Judge a class that the user did not give: it must be on the list of Keras's classes."""
    if name in allowed.WITHOUT_MODULE if module is None else _in_keras(module, name):
        return None
    return replace(unknown, kind="operation") if module is None and _is_operation_name(name) else unknown


def _judge_arguments(name: str, config: Any, layer: str) -> Finding | None:
    """Judge a class on the list whose arguments may make it call a function or read a file."""
    if name in allowed.TENSORFLOW_CALLS and not _is_pure_call(config):
        return Finding("call", f"tf.{config.get('function') if isinstance(config, dict) else config}", "", layer)
    if name in allowed.VOCABULARY_LAYERS and isinstance(config, dict) and isinstance(config.get("vocabulary"), str):
        return Finding("file", config["vocabulary"], "", layer)
    return None


def _only_names_functions(config: Any, known: Known) -> bool:
    """Whether a Lambda layer takes its functions by name, as references of their own, and no bytecode."""
    if not isinstance(config, dict) or not _is_named(config.get("function"), known):
        return False
    return all(_is_plain(v) or _is_named(v, known) for v in (config.get("output_shape"), config.get("mask")))


def _is_named(value: Any, known: Known) -> bool:
    return value.get("class_name") == "function" if isinstance(value, dict) else known(value)


def _is_plain(value: Any) -> bool:
    """Whether this is a shape, or several; bytecode is a list that starts with a string."""
    shapes = value if isinstance(value, list) else [value]
    return all(n is None or isinstance(n, int) for s in shapes for n in (s if isinstance(s, list) else [s]))


def _judge_function(name: Any, module: str | None, layer: str, known: Known) -> Finding | None:
    if isinstance(name, str) and (known(name) or _in_keras(module, name) or _is_function_of_ops(module, name)):
        return None
    return Finding("unknown", str(name), module or "", layer)


def _in_keras(module: str | None, name: str) -> bool:
    """Whether the list, or the modules of operations, have this name. Nothing is imported to find out."""
    if module is None:
        return False
    if name in allowed.BY_MODULE.get(module.removeprefix("tf_"), ()):
        return True
    return module in allowed.OPERATION_MODULES and _is_operation(module, name)


def _is_operation(module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and issubclass(kind, keras.Operation) and kind.__module__ == module


def _is_operation_name(name: str) -> bool:
    return name not in allowed.WITHOUT_MODULE and any(_is_operation(m, name) for m in allowed.OPERATION_MODULES)


def _is_function_of_ops(module: str | None, name: str) -> bool:
    return module == allowed.FUNCTIONS_OF_OPS and inspect.isfunction(getattr(keras.ops, name, None))


def _is_pure_call(config: Any) -> bool:
    symbol = config.get("function") if isinstance(config, dict) else None
    if not isinstance(symbol, str):
        return False
    symbol = symbol.removeprefix("compat.v1.")
    family, _, name = symbol.rpartition(".")
    if family == "keras.activations":
        return name in allowed.ACTIVATIONS
    return family in allowed.TENSORFLOW_FAMILIES or symbol in allowed.TENSORFLOW_NAMES


_TRUSTED = "or, if you trust whoever made the file, safe_mode=False (on the command line: --unsafe-load)"

_REFUSALS: dict[Kind, tuple[str, str]] = {
    "code": (
        "the model file holds Python code, which could do anything on this machine",
        f"no Lambda layer and no other code; {_TRUSTED}",
    ),
    "call": (
        "the model file calls a function of TensorFlow that is not on the list of those that only compute",
        f"functions such as tf.math.*, tf.nn.* or tf.concat; {_TRUSTED}",
    ),
    "file": (
        "the model file asks for the vocabulary in another file",
        f"a vocabulary in the model file itself; {_TRUSTED}",
    ),
    "unknown": (
        "the model file needs classes or functions that are not part of Keras, or not allowed in a file; "
        "nothing is imported because a file names it",
        'custom_objects={{"{name}": ...}} or a class registered with Keras; on the command line '
        "--custom {name}=MODULE:NAME, or --import MODULE that registers it",
    ),
    "operation": (
        "Keras cannot read operations of keras.ops back from an HDF5 file",
        'the model saved again as a .keras file; or custom_objects={{"{name}": ...}} for a class of your own by that '
        "name",
    ),
}
"""Kind -> the rule that is broken, and what is expected instead (`{name}` is the first finding's); worst first."""
