"""Programs that run the tile section, however small the model.

The default pipeline leaves a model that gains nothing to Keras, and most models of these tests are that small.
"""

from __future__ import annotations

from typing import Any

from fastism_compiler.passes.choose_program import ChooseProgramPass
from fastism_compiler.passes.compose_convolutions import ComposeConvolutionsPass

import fastism_compiler as fc

COMPOSING = ComposeConvolutionsPass(least_gain=float("-inf"))
"""Convolutions in a row run as one wherever that is exact, whether it pays or not."""
TILES = (
    fc.default_pipeline()
    .replace("choose-program", ChooseProgramPass(break_even=0))
    .replace("compose-convolutions", COMPOSING)
)
"""The default pipeline, but always windows, and convolutions in a row as one."""
WHOLE = fc.default_pipeline().replace("choose-program", ChooseProgramPass(break_even=float("inf")))
"""The default pipeline, but always whole mutants."""


def compile_tiles(*args: Any, **options: Any) -> fc.CompiledISM:
    """`fc.compile`, always with the tile section."""
    return fc.compile(*args, pipeline=TILES, **options)
