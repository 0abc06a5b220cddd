"""Heatmap of one scan: letters x positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastism_compiler.mutations.inputs import Array
from fastism_compiler.plot.style import (
    DIVERGING,
    MISSING,
    as_written,
    check_shape,
    letter_colour,
    new_figure,
    symmetric_limit,
    width_for,
)
from fastism_compiler.results.importance import reference_mask

_READABLE = 160
"""Most positions whose letters are written; more become coloured stripes."""


def heatmap_figure(
    effects: Array,
    reference: Array,
    alphabet: str = "ACGT",
    first: int = 0,
    title: str = "",
    label: str = "effect",
    limit: float | None = None,
) -> Any:
    """Every substitution's effect as a colour, above the row of the reference letters.

    The reference letters' own cells are blank, cells that could not be computed (NaN) grey.

    Args:
        effects: `[P, C]`.
        reference: `[P]`, indices of the reference letters; any other number is an unknown letter.
        alphabet: the letters, C of them, first at the top.
        first: number of the first position.
        title: written above.
        label: what the colours mean.
        limit: effect at both ends of the colour scale, `-limit` and `limit` (default: the largest effect shown).

    Returns:
        A matplotlib Figure; its first axes hold the heatmap.

    Raises:
        InputError: shapes that do not fit.
    """
    effects = check_shape("a heatmap's effects", effects, (None, len(alphabet)))
    blank = reference_mask(effects, reference)
    figure = new_figure(width_for(len(effects), 0.14), 1.4 + 0.24 * len(alphabet))
    cells, letters = figure.subplots(2, 1, sharex=True, height_ratios=(len(alphabet), 1))
    image = draw_heatmap(cells, effects, blank, first, limit)
    cells.set_yticks(range(len(alphabet)), list(alphabet), fontsize=8)
    cells.set_ylabel("substitution")
    cells.set_title(as_written(title), loc="left", fontsize=10)
    cells.tick_params(axis="x", bottom=False, labelbottom=False)
    draw_letters(letters, np.asarray(reference), alphabet, first)
    letters.set_xlabel("position" + ("; grey: not computed" if _missing(effects, blank).any() else ""))
    figure.colorbar(image, ax=[cells, letters], label=as_written(label), pad=0.01, aspect=14)
    return figure


def draw_heatmap(ax: Any, effects: Array, blank: Array, first: int = 0, limit: float | None = None) -> Any:
    """Draw the cells on matplotlib axes; return the image that a colour bar reads.

    Args:
        ax: matplotlib axes.
        effects: `[P, C]`.
        blank: `[P, C]` bool, cells to leave empty.
        first: number of the first position.
        limit: effect at the ends of the colour scale (default: the largest effect).
    """
    # matplotlib is an extra: this module is imported without it
    from matplotlib.colors import ListedColormap

    shown = np.where(blank, np.nan, effects)
    limit = limit or symmetric_limit(shown)
    positions, letters = effects.shape
    place = {
        "extent": (first - 0.5, first + positions - 0.5, letters - 0.5, -0.5),
        "aspect": "auto",
        "interpolation": "none",
    }
    missing = np.where(_missing(effects, blank), 1.0, np.nan)
    ax.imshow(missing.T, cmap=ListedColormap([MISSING]), zorder=0.5, **place)
    return ax.imshow(np.ma.masked_invalid(shown).T, cmap=DIVERGING, vmin=-limit, vmax=limit, **place)


def draw_letters(ax: Any, reference: Array, alphabet: str, first: int = 0) -> None:
    """The row of reference letters: written where they can be read, else coloured stripes; N where unknown."""
    # matplotlib is an extra: this module is imported without it
    from matplotlib.colors import to_rgb

    names = [alphabet[i] if i < len(alphabet) else "N" for i in reference.tolist()]
    ax.set_yticks([0], ["reference"], fontsize=8)
    ax.tick_params(axis="y", length=0)
    ax.spines[:].set_visible(False)
    if len(names) <= _READABLE:
        size = float(np.clip(900 / max(len(names), 1), 5, 9))
        for column, name in enumerate(names):
            style = {"color": letter_colour(name, alphabet), "fontsize": size, "fontweight": "bold"}
            ax.text(first + column, 0, name, ha="center", va="center", clip_on=True, **style)
        ax.set_ylim(0.6, -0.6)
        return
    stripes = np.array([[to_rgb(letter_colour(n, alphabet)) for n in names]])
    extent = (first - 0.5, first + len(names) - 0.5, 0.5, -0.5)
    ax.imshow(stripes, extent=extent, aspect="auto", interpolation="none")


def _missing(effects: Array, blank: Array) -> Array:
    missing: Array = ~np.isfinite(effects) & ~blank
    return missing
