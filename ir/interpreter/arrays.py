"""What the interpreter computes with: every float is a float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from fastism_compiler.ir.types import FLOATS

Array = npt.NDArray[Any]


def dtype_of(name: str) -> np.dtype[Any]:
    """The dtype in which values of a graph's dtype are computed."""
    return np.dtype("float64" if name in FLOATS else name)
