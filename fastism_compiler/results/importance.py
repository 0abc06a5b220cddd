"""How much each position matters, from the effects of its substitutions.

Effects are differences to the reference, with letters on the last axis: the
reference letter's own effect is 0, one that could not be computed is NaN.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastism_compiler.errors import InputError
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.inputs import Array


def importance(effects: Array, reference: Array, method: str = "mean") -> Array:
    """One number per position.

    Args:
        effects: `[..., C]`, finite or NaN.
        reference: `[...]`, the index of each position's own letter; anything
            outside `0 .. C-1` is an unknown letter.
        method: `"mean"`: minus the mean effect of the alternatives, high where
            the reference letter is needed; `"loss"`: the lowest effect, at most 0;
            `"gain"`: the highest effect, at least 0.

    Returns:
        `[...]`; NaN where the reference letter is unknown or an alternative's effect is NaN.

    Raises:
        OptionError: an unknown method.
        InputError: shapes that do not fit, or fewer than two letters.
    """
    summary = _METHODS.get(method)
    if summary is None:
        raise OptionError("unknown measure of importance", expected=f"one of {METHODS}", got=repr(method))
    letters = reference_mask(effects, reference)
    effects = np.where(letters, 0.0, effects)
    return np.where(letters.any(-1), summary(effects), np.nan)


def on_reference(values: Array, reference: Array, letters: int) -> Array:
    """Numbers per position `[...]` as heights of the reference letters, `[..., letters]`; 0 elsewhere."""
    placed = np.arange(letters) == np.asarray(reference)[..., None]
    return np.where(placed, np.asarray(values)[..., None], 0.0)


def mean_centred(effects: Array) -> Array:
    """Effects minus their mean over the letters, the reference letter's 0 included: hypothetical scores.

    Args:
        effects: `[..., C]`.

    Returns:
        `[..., C]`; all letters of a position are NaN where one is.
    """
    effects = np.asarray(effects)
    return effects - effects.mean(axis=-1, keepdims=True)


def reference_mask(effects: Array, reference: Array) -> Array:
    """Which cells of `effects [..., C]` belong to the reference letters `[...]`: `[..., C]` bool.

    Raises:
        InputError: shapes that do not fit, or fewer than two letters.
    """
    effects, reference = np.asarray(effects), np.asarray(reference)
    if effects.ndim < 1 or effects.shape[:-1] != reference.shape or effects.shape[-1] < 2:
        raise InputError(
            "effects have one cell per position and letter",
            expected=f"{list(reference.shape)} positions and at least 2 letters",
            got=f"effects {list(effects.shape)}",
        )
    mask: Array = np.arange(effects.shape[-1]) == reference[..., None]
    return mask


def _mean_of_alternatives(effects: Array) -> Array:
    """The reference cell is 0, so the sum is that of the alternatives."""
    return -effects.sum(axis=-1) / (effects.shape[-1] - 1) + 0.0  # no negative zeros


def _lowest(effects: Array) -> Array:
    return effects.min(axis=-1)


def _highest(effects: Array) -> Array:
    return effects.max(axis=-1)


_METHODS: dict[str, Callable[[Array], Array]] = {"mean": _mean_of_alternatives, "loss": _lowest, "gain": _highest}

METHODS = tuple(_METHODS)
"""What `importance` can measure."""
