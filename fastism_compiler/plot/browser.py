"""A view as in a genome browser: a track over all that was scanned, and letters and substitutions of a part of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastism_compiler.errors import InputError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.plot.heatmap import draw_heatmap
from fastism_compiler.plot.logo import draw_logo
from fastism_compiler.plot.style import MISSING, OTHER, as_written, check_shape, new_figure, width_for
from fastism_compiler.results.importance import importance, on_reference, reference_mask

_SHOWN = 60
"""Positions of the part, where none are asked for."""
_RISING, _FALLING = "#D62839", "#255C99"


def browser_figure(
    effects: Array,
    reference: Array,
    alphabet: str = "ACGT",
    first: int = 0,
    part: tuple[int, int] | None = None,
    method: str = "mean",
    title: str = "",
    label: str = "effect",
) -> Any:
    """The importance of every position as a track; below it a part as letters, and every substitution's effect.

    Args:
        effects: `[P, C]`; NaN where not computed.
        reference: `[P]`, indices of the reference letters; any other number is an unknown letter.
        alphabet: the letters, C of them.
        first: number of the first position.
        part: positions `[start, end)` of the lower pictures (default: the 60 with the largest importance).
        method: how importance is made of effects (see `results.importance.METHODS`).
        title: written above.
        label: what the effects are.

    Returns:
        A matplotlib Figure: track, logo and heatmap.

    Raises:
        InputError: shapes that do not fit, or a part outside the positions.
    """
    effects = check_shape("a view's effects", effects, (None, len(alphabet)))
    heights = importance(effects, reference, method)
    start, end = _strongest(heights, first) if part is None else part
    if not first <= start < end <= first + len(effects):
        raise InputError("the part lies in what is shown", expected=f"in {first} .. {first + len(effects)}", got=part)
    shown = slice(start - first, end - first)
    figure = new_figure(width_for(end - start, 0.17), 4.6)
    track, logo, cells = figure.subplots(3, 1, height_ratios=(1.1, 1.5, 1))
    _draw_track(track, heights, first)
    track.axvspan(start - 0.5, end - 0.5, color="#dddddd", zorder=0)
    track.set_title(as_written(title), loc="left", fontsize=10)
    letters = on_reference(heights[shown], reference[shown], len(alphabet))
    draw_logo(logo, np.where(np.isnan(heights[shown])[:, None], np.nan, letters), alphabet, start)
    logo.tick_params(labelbottom=False)  # the heatmap below it has the same positions
    blank = reference_mask(effects[shown], reference[shown])
    image = draw_heatmap(cells, effects[shown], blank, start)
    cells.set_yticks(range(len(alphabet)), list(alphabet), fontsize=8)
    cells.set_xlim(logo.get_xlim())
    for ax in (track, logo):
        ax.set_ylabel("importance")
    for ax in (track, cells):
        ax.set_xlabel("position")
    figure.colorbar(image, ax=[track, logo, cells], label=as_written(label), pad=0.01, aspect=30)
    return figure


def _draw_track(ax: Any, heights: Array, first: int) -> None:
    """Bars above and below the line; grey where nothing was computed."""
    places, known = first + np.arange(len(heights)), np.isfinite(heights)
    colours = np.where(heights > 0, _RISING, _FALLING)
    ax.bar(places[known], heights[known], width=1.0, color=colours[known], linewidth=0)
    ax.plot(places[~known], np.zeros((~known).sum()), "x", color=MISSING, markersize=3)
    ax.axhline(0, color=OTHER, linewidth=0.6)
    ax.set_xlim(first - 0.6, first + len(heights) - 0.4)
    ax.ticklabel_format(axis="x", useOffset=False, style="plain")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.spines[["top", "right"]].set_visible(False)


def _strongest(heights: Array, first: int) -> tuple[int, int]:
    """The positions `[start, end)` with the largest importance in sum."""
    width = min(_SHOWN, len(heights))
    sums = np.concatenate([[0.0], np.cumsum(np.abs(np.nan_to_num(heights)))])
    start = int((sums[width:] - sums[: len(sums) - width]).argmax())
    return first + start, first + start + width
