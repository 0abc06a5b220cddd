"""The path of a design: its score after every substitution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastism_compiler.plot.style import OTHER, letter_colour, new_figure, width_for

if TYPE_CHECKING:
    from fastism_compiler.evolution.path import Design


def design_figure(design: Design, ylabel: str = "score") -> Any:
    """A point for every step, at its score, named by what was changed.

    `A17G` puts a G at position 17 (from 0), `17→2` the letter 2 where letters have no names.

    Args:
        design: of `fc.design`.
        ylabel: what the score is.

    Returns:
        A matplotlib Figure.
    """
    names = [f"{old}{p}{new}" if old else f"{p}→{new}" for p, old, new in design.substitutions]
    figure = new_figure(width_for(len(names), 0.5), 3.2)
    ax = figure.add_subplot()
    steps = range(len(design.scores))
    colours = [OTHER, *(letter_colour(name[-1], design.alphabet) for name in names)]
    ax.plot(steps, design.scores, color=OTHER, linewidth=0.8, zorder=1)
    ax.scatter(steps, design.scores, c=colours, s=36, zorder=2)
    for step, name in enumerate(names, start=1):
        place = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center", "fontsize": 8}
        ax.annotate(name, (step, design.scores[step]), **place)
    ax.set(xlabel="substitutions", ylabel=ylabel)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.margins(y=0.18)
    ax.spines[["top", "right"]].set_visible(False)
    return figure
