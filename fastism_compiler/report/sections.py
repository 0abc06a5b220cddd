"""The pictures of one sequence in a report."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastism_compiler.plot.genome_axis import number_on_genome
from fastism_compiler.plot.heatmap import heatmap_figure
from fastism_compiler.plot.logo import logo_figure
from fastism_compiler.plot.scan import Scan
from fastism_compiler.plot.scanned import KINDS, Choice, letter_heights
from fastism_compiler.plot.style import new_figure
from fastism_compiler.report.summary import Summary
from fastism_compiler.results.importance import importance

ZOOM = 100
"""Most positions in a logo and a heatmap, around the strongest effect."""
_WIDTH = 11.5
"""Inches of every figure, so that their texts are equally large."""

_MOST_POINTS = 5000
"""Longer overviews are stored as pixels, which stay small."""


def figures(scan: Scan, summary: Summary) -> dict[str, Any]:
    """Caption -> Figure: an overview, then logo and heatmap around the strongest effect; stems for ranges."""
    drawn = _ranges(scan, summary) if not scan.saturated else _saturation(scan, summary)
    for figure in drawn.values():
        figure.set_size_inches(_WIDTH, figure.get_size_inches()[1])
        number_on_genome(figure, scan.sequence(summary.row))
    return drawn


def _ranges(scan: Scan, summary: Summary) -> dict[str, Any]:
    choice = Choice(output=str(summary.output), top=12)
    return {"Effect of each range, at its middle": KINDS["lollipop"](scan, summary.row, choice)}


def _saturation(scan: Scan, summary: Summary) -> dict[str, Any]:
    cells = scan.saturation(summary.row, summary.output)
    scores = importance(cells.effects, cells.reference)
    shown: dict[str, Any] = {}
    begin = 0
    if len(scores) > ZOOM:
        begin = int(np.clip(summary.position - cells.first - ZOOM // 2, 0, len(scores) - ZOOM))
        zoomed = (cells.first + begin, cells.first + begin + ZOOM)
        shown["Importance of every position; shaded: shown below"] = _overview(cells.first, scores, zoomed)
    part = slice(begin, begin + ZOOM)
    first = cells.first + begin
    heights = letter_heights(cells, "mean")[part]
    shown["Importance: minus the mean effect of the alternatives"] = logo_figure({"": heights}, scan.alphabet, first)
    shown["Effect of every substitution"] = heatmap_figure(
        cells.effects[part], cells.reference[part], scan.alphabet, first, label=scan.effect
    )
    return shown


def _overview(first: int, scores: Any, zoomed: tuple[int, int]) -> Any:
    figure = new_figure(_WIDTH, 1.7)
    ax = figure.add_subplot()
    positions = first + np.arange(len(scores))
    ax.axvspan(zoomed[0] - 0.5, zoomed[1] - 0.5, color="#8888884d", zorder=0, linewidth=0)
    known = np.where(np.isfinite(scores), scores, 0.0)
    ax.fill_between(positions, known, step="mid", color="#3b7fc4", linewidth=0, rasterized=len(known) > _MOST_POINTS)
    ax.axhline(0, color="black", linewidth=0.6)
    ax.set(xlim=(positions[0] - 0.5, positions[-1] + 0.5), ylabel="importance", xlabel="position")
    ax.spines[["top", "right"]].set_visible(False)
    return figure
