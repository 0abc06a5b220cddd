"""Pictures of scores. Needs the `plot` extra (matplotlib)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from fastism_compiler.inputs import Array

COLOURS = {"A": "#109648", "C": "#255C99", "G": "#F7B32B", "T": "#D62839", "U": "#D62839"}
"""The colours sequence logos are usually drawn in; other letters are grey."""


def logo_figure(
    tracks: Mapping[str, Array],
    alphabet: str = "ACGT",
    first: int = 0,
    spans: Mapping[str, Mapping[str, tuple[int, int]]] | None = None,
) -> Any:
    """Sequence logos, one row per track: letters as high as their scores, negative ones below the line.

    Args:
        tracks: title -> scores `[L, C]`.
        alphabet: the letters of the channels, C of them.
        first: number of the first position.
        spans: title -> label -> `(start, end)` positions to shade in that track.

    Returns:
        A matplotlib Figure.
    """
    from matplotlib.figure import Figure

    length = max(len(v) for v in tracks.values())
    figure = Figure(figsize=(max(6.0, 0.17 * length), 1.9 * len(tracks)), layout="constrained")
    axes = figure.subplots(len(tracks), 1, sharex=True, squeeze=False)[:, 0]
    for ax, (title, scores) in zip(axes, tracks.items(), strict=True):
        draw_logo(ax, np.asarray(scores), alphabet, first)
        ax.set_title(title, loc="left", fontsize=10)
        ax.set_ylabel("importance")
        for label, (start, end) in (spans or {}).get(title, {}).items():
            ax.axvspan(start - 0.5, end - 0.5, color="#dddddd", zorder=0)
            ax.annotate(label, ((start + end - 1) / 2, 0.97), xycoords=("data", "axes fraction"), ha="center", va="top")
    axes[-1].set_xlabel("position")
    return figure


def draw_logo(ax: Any, scores: Array, alphabet: str = "ACGT", first: int = 0) -> None:
    """Draw one logo on matplotlib axes; scores that are not finite stay blank. See `logo_figure`."""
    from matplotlib.patches import PathPatch
    from matplotlib.transforms import Affine2D

    scores = np.where(np.isfinite(scores), scores, 0.0)
    for position, column in enumerate(scores):
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
                .translate(first + position - 0.46, heights[sign])
            )
            colour = COLOURS.get(alphabet[letter], "#555555")
            ax.add_patch(PathPatch(path.transformed(place), facecolor=colour, edgecolor="none"))
            heights[sign] += score
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set_xlim(first - 0.6, first + len(scores) - 0.4)
    top, bottom = np.clip(scores, 0, None).sum(-1).max(initial=0), np.clip(scores, None, 0).sum(-1).min(initial=0)
    room = 0.05 * max(top - bottom, 1e-12)
    ax.set_ylim(bottom - room, top + 3 * room)


@cache
def _glyph(letter: str) -> tuple[Any, tuple[float, float, float, float]]:
    """A letter's outline and its box (x, y, width, height)."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    path = TextPath((0, 0), letter, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = path.get_extents()
    return path, (box.x0, box.y0, box.width, box.height)
