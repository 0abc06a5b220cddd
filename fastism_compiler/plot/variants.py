"""Lollipops: the effects of variants along a region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastism_compiler.mutations.inputs import Array
from fastism_compiler.plot.style import MISSING, OTHER, as_written, check_shape, letter_colour, new_figure

_LABEL_ROOM = 0.05
"""Share of the axes' width that a label keeps free on its side of the line."""


def lollipop_figure(
    positions: Array,
    effects: Array,
    labels: Sequence[str] | None = None,
    letters: Sequence[str] | None = None,
    region: tuple[int, int] | None = None,
    label_top: int = 10,
    title: str = "",
    ylabel: str = "effect",
) -> Any:
    """One stem and head per variant, as high as its effect; the strongest are labelled.

    Args:
        positions: `[N]`, in any numbering, repeats allowed.
        effects: `[N]`; NaN is drawn as a grey cross on the line.
        labels: N labels, such as `A17G`.
        letters: N alternate letters, which colour the heads.
        region: first and last position of the axis, a little room beside them (default: around the variants).
        label_top: how many labels to write at most, strongest first; variants beside
            a stronger one go without.
        title: written above.
        ylabel: what the heights are.

    Returns:
        A matplotlib Figure.

    Raises:
        InputError: shapes that do not fit.
    """
    effects = check_shape("variant effects", effects, (None,))
    positions = check_shape("variant positions", positions, (len(effects),))
    letters = ["?"] * len(effects) if letters is None else list(letters)
    figure = new_figure(10.0, 3.4)
    ax = figure.add_subplot()
    known = np.isfinite(effects)
    among = set(letters)
    colour_of = {c: letter_colour(c, among) for c in among}
    colours = [colour_of[c] for c in letters]
    heads = [c for c, k in zip(colours, known, strict=True) if k]
    ax.vlines(positions[known], 0, effects[known], colors=heads, linewidth=0.8)
    ax.scatter(positions[known], effects[known], s=22, c=heads, zorder=3, linewidths=0)
    ax.scatter(positions[~known], np.zeros((~known).sum()), s=22, c=MISSING, marker="x", zorder=3)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set(xlabel="position" + ("" if known.all() else "; grey cross: not computed"), ylabel=as_written(ylabel))
    ax.set_title(as_written(title), loc="left", fontsize=10)
    ax.spines[["top", "right"]].set_visible(False)
    ax.ticklabel_format(axis="x", useOffset=False, style="plain")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.margins(x=0.03, y=0.14)
    if region is not None:
        room = max(0.5, 0.03 * (region[1] - region[0]))
        ax.set_xlim(region[0] - room, region[1] + room)
    if labels is not None:
        _write_labels(ax, positions, effects, labels, label_top)
    _legend(ax, [c for c, k in zip(letters, known, strict=True) if k])
    return figure


def _write_labels(ax: Any, positions: Array, effects: Array, labels: Sequence[str], top: int) -> None:
    """Label the strongest variants; one beside a stronger one on the same side of the line gets no label."""
    left, right = ax.get_xlim()
    room = _LABEL_ROOM * (right - left)
    written = 0
    order = np.argsort(-np.where(np.isfinite(effects), np.abs(effects), 0.0), kind="stable")
    for number, variant in enumerate(order):
        x, y = float(positions[variant]), float(effects[variant])
        if written == top or not abs(y) > 0:
            break
        stronger = order[:number]
        beside = (np.abs(positions[stronger] - x) < room) & (effects[stronger] * y > 0)
        if beside.any() or not left <= x <= right:
            continue
        written += 1
        ax.annotate(
            as_written(labels[variant]), (x, y), xytext=(0, 5 if y > 0 else -5), textcoords="offset points", fontsize=8,
            ha="center", va="bottom" if y > 0 else "top",
        )  # fmt: skip


def _legend(ax: Any, letters: Sequence[str]) -> None:
    """Which colour is which alternate letter; nothing where letters are not told apart by colour."""
    # matplotlib is an extra: this module is imported without it
    from matplotlib.lines import Line2D

    shown = [c for c in sorted(set(letters)) if letter_colour(c, letters) != OTHER]
    if not shown:
        return
    heads = [Line2D([], [], marker="o", linestyle="none", color=letter_colour(c, letters), label=c) for c in shown]
    ax.legend(handles=heads, title="alternate", loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
