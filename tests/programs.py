"""Programs that run the tile section, however small the model.

The default pipeline leaves a model that gains nothing to Keras, and most models of these tests are that small.
"""

from __future__ import annotations

from typing import Any

from fastism_compiler.passes.choose_program import ChooseProgramPass

import fastism_compiler as fc

TILES = fc.default_pipeline().replace("choose-program", ChooseProgramPass(break_even=0))
"""The default pipeline, but always windows."""
WHOLE = fc.default_pipeline().replace("choose-program", ChooseProgramPass(break_even=float("inf")))
"""The default pipeline, but always whole mutants."""


def compile_tiles(*args: Any, **options: Any) -> fc.CompiledISM:
    """`fc.compile`, always with the tile section."""
    return fc.compile(*args, pipeline=TILES, **options)
