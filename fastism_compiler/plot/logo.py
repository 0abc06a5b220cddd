"""Sequence logos: letters as high as their scores."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from fastism_compiler.mutations.inputs import Array
from fastism_compiler.plot.style import MISSING, as_written, check_shape, letter_colour, new_figure, width_for


def logo_figure(
    tracks: Mapping[str, Array],
    alphabet: str = "ACGT",
    first: int = 0,
    spans: Mapping[str, Mapping[str, tuple[int, int]]] | None = None,
    ylabel: str = "importance",
) -> Any:
    """Sequence logos, one row per track: letters as high as their scores, negative ones below the line.

    Args:
        tracks: title -> scores `[L, C]`; positions with a score that is not finite are marked grey.
        alphabet: the letters of the channels, C of them.
        first: number of the first position.
        spans: title -> label -> positions `[start, end)` to shade in that track.
        ylabel: what the heights are.

    Returns:
        A matplotlib Figure.

    Raises:
        InputError: scores that are not `[L, C]`.
    """
    scores = {title: check_shape("a track", v, (None, len(alphabet))) for title, v in tracks.items()}
    length = max(len(v) for v in scores.values())
    figure = new_figure(width_for(length, 0.17), 0.5 + 1.7 * len(scores))
    axes = figure.subplots(len(scores), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (title, track) in zip(axes, scores.items(), strict=True):
        draw_logo(ax, track, alphabet, first)
        ax.set_title(as_written(title), loc="left", fontsize=10)
        ax.set_ylabel(as_written(ylabel))
        for label, (start, end) in (spans or {}).get(title, {}).items():
            ax.axvspan(start - 0.5, end - 0.5, color="#dddddd", zorder=0)
            place = ((start + end - 1) / 2, 0.97)
            ax.annotate(as_written(label), place, xycoords=("data", "axes fraction"), ha="center", va="top")
    axes[-1].set_xlabel("position")
    return figure


def draw_logo(ax: Any, scores: Array, alphabet: str = "ACGT", first: int = 0) -> None:
    """Draw one logo on matplotlib axes; positions that are not finite get a grey mark. See `logo_figure`."""
    finite = np.isfinite(scores).all(axis=-1)
    scores = np.where(np.isfinite(scores), scores, 0.0)
    for position, column in enumerate(scores):
        _draw_column(ax, first + position, column, alphabet)
    unknown = first + np.flatnonzero(~finite)
    ax.plot(unknown, np.zeros(len(unknown)), "x", color=MISSING, markersize=4, label="not computed")
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set_xlim(first - 0.6, first + len(scores) - 0.4)
    top, bottom = np.clip(scores, 0, None).sum(-1).max(initial=0), np.clip(scores, None, 0).sum(-1).min(initial=0)
    top = top if top > bottom else 1.0  # nothing but zeros
    room = 0.05 * (top - bottom)
    ax.set_ylim(bottom - room, top + 3 * room)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.spines[["top", "right"]].set_visible(False)


def _draw_column(ax: Any, position: int, column: Array, alphabet: str) -> None:
    """The letters of one position, the smallest next to the line."""
    # matplotlib is an extra: this module is imported without it
    from matplotlib.patches import PathPatch
    from matplotlib.transforms import Affine2D

    heights = {+1: 0.0, -1: 0.0}
    for letter in np.argsort(np.abs(column)):
        score = float(column[letter])
        if score == 0:
            continue
        sign = 1 if score > 0 else -1
        path, box = _glyph(alphabet[letter])
        place = (
            Affine2D()
            .translate(-box[0], -box[1])
            .scale(0.92 / box[2], score / box[3])
            .translate(position - 0.46, heights[sign])
        )
        colour = letter_colour(alphabet[letter], alphabet)
        ax.add_patch(PathPatch(path.transformed(place), facecolor=colour, edgecolor="none"))
        heights[sign] += score


@cache
def _glyph(letter: str) -> tuple[Any, tuple[float, float, float, float]]:
    """A letter's outline and its box (x, y, width, height)."""
    # matplotlib is an extra: this module is imported without it
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), letter, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = path.get_extents()
    return path, (box.x0, box.y0, box.width, box.height)
