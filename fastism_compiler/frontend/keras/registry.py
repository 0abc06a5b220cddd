"""`register_layer`: one line that tells the compiler what a custom layer does to a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from fastism_compiler.frontend.keras.private import layer_names
from fastism_compiler.ir import same_padding
from fastism_compiler.ir.errors import OptionError

Kind = Literal["see_through", "aggregation", "pooling", "stop", "local"]
Padding = Literal["valid", "same", "causal"]


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What a local layer reads: output `p` depends on inputs `p*stride - pad + t*dilation`, `t < kernel`.

    Args:
        kernel: how many positions each output reads.
        stride: input positions between neighbouring outputs.
        dilation: input positions between what one output reads.
        padding: `"valid"`, `"same"` or `"causal"`; zeros, put there by the layer itself.

    Raises:
        OptionError: sizes below 1, an unknown padding, or a stride with padding
            (a window would be padded out of phase).
    """

    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    padding: Padding = "valid"

    def __post_init__(self) -> None:
        if min(self.kernel, self.stride, self.dilation) < 1:
            raise OptionError("kernel, stride and dilation are at least 1", got=self)
        if self.padding not in get_args(Padding):
            raise OptionError("unknown padding", expected=get_args(Padding), got=self.padding)
        if self.padding != "valid" and self.stride != 1:
            raise OptionError("a strided local layer must not pad", expected='padding="valid"', got=self)

    def attributes(self, length: int) -> dict[str, Any]:
        """The attributes of a `custom_local` op over `length` positions."""
        reach = (self.kernel - 1) * self.dilation
        pads = {"valid": (0, 0), "same": same_padding(length, self.kernel, 1, self.dilation)[1:], "causal": (reach, 0)}
        geometry = {"taps": self.kernel, "stride": self.stride, "dilation": self.dilation}
        return {**geometry, "pad": pads[self.padding]}


@dataclass(frozen=True, slots=True)
class Declaration:
    """What `register_layer` was told about a class of layers."""

    kind: Kind
    receptive_field: Callable[[Any], ReceptiveField] | None
    linear: bool

    def field_of(self, layer: Any) -> ReceptiveField:
        """The receptive field of one layer."""
        if self.receptive_field is not None:
            return self.receptive_field(layer)
        if self.kind == "pooling":
            size = _first(layer.pool_size)
            return ReceptiveField(kernel=size, stride=_first(getattr(layer, "strides", None)) or size)
        return ReceptiveField()


def _first(value: Any) -> int:
    return int(value[0] if isinstance(value, tuple | list) else value or 0)


_DECLARED: dict[str, Declaration] = {}


def register_layer(
    layer: type | str,
    kind: Kind,
    receptive_field: Callable[[Any], ReceptiveField] | None = None,
    linear: bool = False,
) -> None:
    """Declare what a custom layer does to a change, for every program compiled from now on.

    Args:
        layer: the layer's class, or its name.
        kind: `"see_through"`: each position by itself; `"pooling"`: blocks of
            `layer.pool_size` positions, with weights or without, `layer.strides`
            apart (default: `pool_size`); `"local"`: as `receptive_field` says;
            `"aggregation"` and `"stop"`: recomputed whole.
        receptive_field: `layer -> ReceptiveField`, for `"local"`, and for a pooling
            layer that names its sizes differently.
        linear: the layer is linear, without a bias: it runs on differences.

    Raises:
        OptionError: an unknown kind, or a local layer without a receptive field.
    """
    if kind not in get_args(Kind):
        raise OptionError("unknown kind of layer", expected=get_args(Kind), got=repr(kind))
    if kind == "local" and receptive_field is None:
        raise OptionError("a local layer needs its receptive field", expected="receptive_field=...", got="none")
    _DECLARED[_name(layer)] = Declaration(kind, receptive_field, linear)


def unregister_layer(layer: type | str) -> None:
    """Forget what was declared for a layer; nothing happens if nothing was."""
    _DECLARED.pop(_name(layer), None)


def declaration_for(operation: Any) -> Declaration | None:
    """The declaration for an operation's class, by qualified or plain name."""
    return next((_DECLARED[n] for n in layer_names(operation) if n in _DECLARED), None)


def _name(layer: type | str) -> str:
    return layer if isinstance(layer, str) else f"{layer.__module__}.{layer.__qualname__}"
