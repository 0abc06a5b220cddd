"""Lowering rules, one for each ONNX operator."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fastism_compiler.frontend.onnx.call import Rule
from fastism_compiler.frontend.onnx.operators import (
    arrangements,
    contractions,
    convolutions,
    elementwise,
    recurrent,
    reductions,
)

OPERATORS: Mapping[str, Rule] = MappingProxyType(
    {
        **arrangements.OPERATORS,
        **contractions.OPERATORS,
        **convolutions.OPERATORS,
        **elementwise.OPERATORS,
        **recurrent.OPERATORS,
        **reductions.OPERATORS,
    }
)
"""ONNX operator -> lowering rule."""
