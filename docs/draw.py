"""Draw the pictures of the documentation: compiled programs, and what the pages' own code saves.

python -m docs.draw [FOLDER]
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from docs.pages import FOLDER, run

PAGES_THAT_DRAW = ("index", "beluga")
"""Their code saves the pictures they show."""


def basset() -> Any:
    """Three convolutions, three pools, Dense layers."""
    import fastism_compiler as fc

    return fc.models.basset(length=600)


def residual() -> Any:
    """A small residual tower."""
    import keras

    layers = keras.layers
    x = inputs = layers.Input((200, 4), name="sequence")
    x = layers.Conv1D(64, 11, padding="same", activation="relu", name="motifs")(x)
    for block in range(3):
        y = layers.Conv1D(64, 3, padding="same", dilation_rate=2**block, activation="relu", name=f"dilated_{block}")(x)
        x = layers.Add(name=f"add_{block}")([x, y])
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(1, name="head")(x), name="residual")


def attention() -> Any:
    """A convolution, attention, a Dense layer."""
    import keras

    layers = keras.layers
    x = inputs = layers.Input((400, 4), name="sequence")
    x = layers.Conv1D(64, 15, padding="same", activation="relu", name="motifs")(x)
    x = layers.MaxPooling1D(8, name="pool")(x)
    x = layers.Add(name="add")([x, layers.MultiHeadAttention(4, 16, name="attention")(x, x)])
    x = layers.LayerNormalization(name="normalise")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(1, name="head")(x), name="attention")


PROGRAMS: dict[str, Callable[[], Any]] = {"basset": basset, "residual": residual, "attention": attention}
"""File name -> the model whose program is drawn."""


def draw_programs(folder: Path) -> None:
    """Draw every program of `PROGRAMS` into a folder, with windows even where the model itself is predicted faster."""
    from fastism_compiler.passes.choose_program import ChooseProgramPass

    import fastism_compiler as fc
    from fastism_compiler import plot

    usual = fc.default_pipeline()
    always = [ChooseProgramPass(break_even=0) if p.name == "choose-program" else p for p in usual.passes]
    for name, build in PROGRAMS.items():
        program = fc.compile(build(), verify=False, pipeline=fc.Pipeline(tuple(always)))
        plot.save(plot.graph_figure(program.graph), folder / f"{name}.svg")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER / "generated")
    folder = parser.parse_args().folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    draw_programs(folder)
    os.chdir(folder)
    for name in PAGES_THAT_DRAW:
        run(FOLDER / f"{name}.md")


if __name__ == "__main__":
    main()
