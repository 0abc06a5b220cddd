"""Heatmap of many outputs: outputs x positions, rows that look alike together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastism_compiler.ir.errors import OptionError
from fastism_compiler.mutations.inputs import Array
from fastism_compiler.plot.style import (
    DIVERGING,
    MISSING,
    as_written,
    check_shape,
    missing,
    new_figure,
    symmetric_limit,
    width_for,
)


def outputs_figure(
    effects: Array,
    names: Sequence[str] | None = None,
    positions: Array | None = None,
    top: int = 30,
    cluster: bool = True,
    title: str = "",
    label: str = "effect",
) -> Any:
    """The outputs a scan changes most, one row each, in hierarchical clusters (average linkage).

    Args:
        effects: `[P, K]`: per position and output; NaN cells are grey.
        names: the outputs' names, K of them (default: their numbers).
        positions: `[P]`, the columns' numbers (default: 0 ..).
        top: how many outputs to show: those with the largest absolute effect.
        cluster: order the rows by similarity, with the tree beside them; else by effect.
        title: written above.
        label: what the colours mean.

    Returns:
        A matplotlib Figure; its first axes hold the heatmap.

    Raises:
        InputError: shapes that do not fit.
        OptionError: `top` below 1.
        UnsupportedError: scipy is not installed, and rows are to be clustered.
    """
    effects = check_shape("an outputs heatmap's effects", effects, (None, None if names is None else len(names)))
    columns = np.arange(len(effects)) if positions is None else check_shape("positions", positions, (len(effects),))
    names = [str(k) for k in range(effects.shape[1])] if names is None else names
    rows = top_outputs(effects, top)
    tree = _tree(effects[:, rows]) if cluster and len(rows) > 2 else None
    rows = rows if tree is None else rows[tree["leaves"]]
    figure = new_figure(width_for(len(effects), 0.035) + 1.5, 1.3 + 0.19 * len(rows))
    ax = figure.add_subplot()
    shown = effects[:, rows].T
    limit = symmetric_limit(shown)
    image = ax.imshow(
        np.ma.masked_invalid(shown), cmap=_colours(), vmin=-limit, vmax=limit, aspect="auto", interpolation="none"
    )
    ax.set_yticks(range(len(rows)), [as_written(names[k]) for k in rows], fontsize=8)
    ax.set_xlabel("position" + ("" if np.isfinite(shown).all() else "; grey: not computed"))
    ax.set_title(as_written(title), loc="left", fontsize=10)
    _label_columns(ax, columns)
    if tree is not None:
        _draw_tree(ax, tree, len(rows))
    figure.colorbar(image, ax=ax, label=label, pad=0.01, aspect=14)
    return figure


def top_outputs(effects: Array, top: int) -> Array:
    """The numbers of the `top` outputs with the largest absolute finite effect of `[P, K]`, largest first.

    Raises:
        OptionError: `top` below 1.
    """
    if top < 1:
        raise OptionError("at least one output is shown", expected="top >= 1", got=top)
    strength = np.where(np.isfinite(effects), np.abs(effects), 0.0).max(axis=0, initial=0.0)
    return np.argsort(-strength, kind="stable")[:top]


def _colours() -> Any:
    # matplotlib is an extra: this module is imported without it
    import matplotlib as mpl

    return mpl.colormaps[DIVERGING].with_extremes(bad=MISSING)


def _tree(effects: Array) -> dict[str, Any]:
    """scipy's dendrogram of the columns of `[P, k]`; cells not computed count as no effect."""
    try:
        from scipy.cluster.hierarchy import dendrogram, linkage  # an extra, not always installed
    except ImportError as error:
        raise missing("clustering needs scipy; cluster=False leaves it out", "plot") from error
    rows = np.where(np.isfinite(effects), effects, 0.0).T
    links = linkage(rows, method="average", optimal_ordering=True)
    tree: dict[str, Any] = dendrogram(links, no_plot=True)
    return tree


def _draw_tree(ax: Any, tree: dict[str, Any], rows: int) -> None:
    """The tree, its root rightmost, in a strip right of the heatmap's cells."""
    strip = ax.inset_axes((1.005, 0.0, 0.05, 1.0))
    for heights, places in zip(tree["dcoord"], tree["icoord"], strict=True):
        strip.plot(heights, [(p - 5) / 10 for p in places], color="#666666", linewidth=0.8)
    strip.set_ylim(rows - 0.5, -0.5)
    strip.set_axis_off()


def _label_columns(ax: Any, positions: Array) -> None:
    """Ticks at columns, labelled with their positions: round numbers where positions rise by 1."""
    # matplotlib is an extra: this module is imported without it
    from matplotlib.ticker import MaxNLocator

    count = len(positions)
    even = count > 1 and bool((np.diff(positions) == 1).all())
    offset = int(positions[0]) if even else 0
    wanted = MaxNLocator(10, integer=True).tick_values(offset, offset + max(count - 1, 1))
    columns = [int(w) - offset for w in wanted if float(w).is_integer() and 0 <= w - offset < count]
    ax.set_xticks(columns, [str(positions[c]) for c in columns])
