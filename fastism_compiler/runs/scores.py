"""Scores: what is made of the model's output for the alternate and for the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from fastism_compiler.ir.errors import OptionError

Array = npt.NDArray[Any]
Score = Callable[[Array, Array, float], Array]
"""`(alternate, reference, pseudocount)`, broadcast against each other."""


def _delta(alternate: Array, reference: Array, _: float) -> Array:
    return alternate - reference


def _value(alternate: Array, reference: Array, _: float) -> Array:
    return alternate


def _log2fc(alternate: Array, reference: Array, pseudocount: float) -> Array:
    above, below = (np.asarray(y, np.float64) + pseudocount for y in (alternate, reference))
    # a quotient of two negative numbers is positive, but no fold change
    return np.log2(np.where((above > 0) & (below > 0), above / below, np.nan))


def _logit(alternate: Array, reference: Array, _: float) -> Array:
    alternate, reference = (np.asarray(y, np.float64) for y in (alternate, reference))
    return _log_odds(alternate) - _log_odds(reference)


def _log_odds(p: Array) -> Array:
    return np.log(np.where((p > 0) & (p < 1), p / (1 - p), np.nan))


SCORES: Mapping[str, Score] = MappingProxyType({"delta": _delta, "log2fc": _log2fc, "logit": _logit, "value": _value})
"""`delta`: alternate - reference. `log2fc`: log2((alternate + pseudocount) / (reference + pseudocount)).
`logit`: difference of log odds, for probabilities. `value`: the alternate's output itself.
A score that does not exist (such as the logarithm of 0 or less) is NaN, and counted."""


def find_score(name: str) -> Score:
    """The score of this name.

    Raises:
        OptionError: a name that is not in `SCORES`.
    """
    if name not in SCORES:
        raise OptionError("no such score", expected=f"one of {sorted(SCORES)}", got=repr(name))
    return SCORES[name]


def scored(name: str, alternate: Array, reference: Array, pseudocount: float) -> npt.NDArray[np.float32]:
    """Scores in float32; what is not a finite number is NaN."""
    with np.errstate(all="ignore"):
        return finite32(find_score(name)(alternate, reference, pseudocount))


def finite32(values: Array) -> npt.NDArray[np.float32]:
    """In float32; what is not a finite number is NaN."""
    result = np.asarray(values, np.float32)
    return np.where(np.isfinite(result), result, np.float32(np.nan))
