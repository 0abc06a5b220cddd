"""Effects: mutant - reference, in a dtype that holds every difference."""

from __future__ import annotations

import numpy as np

from fastism_compiler.ir.types import effect_dtype
from fastism_compiler.mutations.inputs import Array


def effect(mutant: Array, reference: Array) -> Array:
    """`mutant - reference`; infinity minus infinity is NaN, without a warning."""
    dtype = effect_dtype(mutant.dtype.name)
    with np.errstate(invalid="ignore"):
        difference: Array = mutant.astype(dtype, copy=False) - reference.astype(dtype, copy=False)
    return difference


def no_effect(shape: tuple[int, ...], reference: Array) -> Array:
    """Zeros, as effects on outputs like `reference` are stored."""
    return np.zeros(shape, effect_dtype(reference.dtype.name))
