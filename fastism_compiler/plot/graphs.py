"""Drawing of a program: what runs once per sequence, what runs per mutation, and where a change reaches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastism_compiler.ir import Graph, LayerClass, Section
from fastism_compiler.plot.rows import Row, Rows, rows_of
from fastism_compiler.plot.style import as_written, new_figure

CLASS_COLOURS = {
    LayerClass.CONSTANT: "#eeeeee",
    LayerClass.INPUT: "#9ecae1",
    LayerClass.LOCAL: "#a1d99b",
    LayerClass.SEE_THROUGH: "#e0f3db",
    LayerClass.POOLING: "#fdd0a2",
    LayerClass.AGGREGATION: "#dadaeb",
    LayerClass.RECURRENT: "#bcbddc",
    LayerClass.STOP: "#fcae91",
}
"""The colour of a layer's boxes, by what it does to a change."""

_CHANGE, _CHANGE_LINE = "#d62839", "#8c1c2b"
_BOX = 3.6
_REFERENCE, _TILE, _STRIP = 0.0, 4.5, 8.6
_STRIP_WIDTH = 3.0
_STEP, _HEIGHT = 1.0, 0.66


def graph_figure(graph: Graph, change: int | None = None, title: str | None = None) -> Any:
    """The annotated graph, one row per layer.

    Left: the reference section, computed once per sequence. Middle: the tile section, computed per mutation,
    with the form (difference or value) and kernel of each layer. Right: the part of each layer's output that
    one change reaches; the full width is the whole output.

    Args:
        graph: of a compiled program (`program.graph`), or a model's graph after some of the passes.
        change: number of the change range that is drawn (default: the middle one).
        title: written above (default: the model's name).

    Returns:
        A matplotlib Figure.
    """
    drawn = rows_of(graph)
    count = len(drawn.rows)
    figure = new_figure(11.5, 1.2 + 0.62 * count)
    ax = figure.add_subplot()
    ax.set_xlim(-0.75, _STRIP + _STRIP_WIDTH + 1.35)
    ax.set_ylim(count * _STEP - 0.2, -1.45)
    ax.set_axis_off()
    ax.set_title(as_written(graph.name if title is None else title), loc="left", fontsize=12, fontweight="bold")
    heads = ("reference: once per sequence", "tile: once per mutation", "where one change reaches")
    for x, width, head in zip((_REFERENCE, _TILE, _STRIP), (_BOX, _BOX, _STRIP_WIDTH), heads, strict=True):
        ax.text(x + width / 2, -0.95, head, ha="center", fontsize=9, fontweight="bold", color="#444444")
    for number, row in enumerate(drawn.rows):
        _draw_boxes(ax, number, row)
    _draw_edges(ax, drawn)
    _draw_windows(ax, drawn.rows, change)
    _legend(figure, drawn.rows)
    return figure


def _draw_boxes(ax: Any, number: int, row: Row) -> None:
    if row.reference:
        stored = str(row.reference[-1].type)
        _box(ax, _REFERENCE, number, row, row.layer, f"{_joined(row.ops)}   {stored}")
    if row.tile:
        kernel = f"   [{row.kernel}]" if row.kernel else ""
        heading = f"{row.form}{kernel}" if row.reference else f"{row.layer}: {row.form}{kernel}"
        _box(ax, _TILE, number, row, heading, f"stop: {row.reason}" if row.reason else _joined(row.tile_ops))


def _joined(ops: Sequence[str]) -> str:
    return " · ".join(op.replace("_", " ") for op in ops)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _box(ax: Any, x: float, number: int, row: Row, first: str, second: str) -> None:
    # matplotlib is an extra: this module is imported without it
    from matplotlib.patches import FancyBboxPatch

    y = number * _STEP - _HEIGHT / 2
    box = FancyBboxPatch(
        (x, y), _BOX, _HEIGHT, boxstyle="round,pad=0,rounding_size=0.08", facecolor=CLASS_COLOURS[row.layer_class],
        edgecolor="#777777", linewidth=0.7,
    )  # fmt: skip
    box.set_gid(f"{'reference' if x == _REFERENCE else 'tile'}:{row.layer}")
    ax.add_patch(box)
    ax.text(
        x + 0.1,
        number * _STEP - 0.13,
        as_written(_shortened(first, 38)),
        fontsize=7.5,
        va="center",
        fontweight="bold",
        clip_on=True,
    )
    second = as_written(_shortened(second, 56))
    ax.text(x + 0.1, number * _STEP + 0.16, second, fontsize=6.2, va="center", color="#333333", clip_on=True)


def _draw_edges(ax: Any, drawn: Rows) -> None:
    """Straight arrows to the next row, arcs past other rows; dashed where the tile reads the reference."""
    for section, x in ((Section.REFERENCE, _REFERENCE), (Section.TILE, _TILE)):
        for producer, user in drawn.edges[section]:
            if user == producer + 1:
                start, end = (x + _BOX / 2, producer + _HEIGHT / 2), (x + _BOX / 2, user - _HEIGHT / 2)
                _arrow(ax, start, end, "#777777")
            else:
                bend = float(np.clip(0.9 / abs(user - producer), 0.08, 0.35))
                _arrow(ax, (x, producer), (x, user), "#777777", f"arc3,rad={bend}")
    for producer, user in drawn.reads:
        _arrow(ax, (_REFERENCE + _BOX, producer), (_TILE, user), "#3182bd", style="dashed")


def _arrow(
    ax: Any, start: tuple[float, float], end: tuple[float, float], colour: str, bend: str = "arc3", style: str = "solid"
) -> None:
    look = {"arrowstyle": "-|>", "color": colour, "linewidth": 0.9, "linestyle": style, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops={**look, "mutation_scale": 8, "connectionstyle": bend})


def _draw_windows(ax: Any, rows: Sequence[Row], change: int | None) -> None:
    """A strip per row: the output's positions, and in it those that one change reaches."""
    # matplotlib is an extra: this module is imported without it
    from matplotlib.patches import Polygon, Rectangle

    before: tuple[int, float, float] | None = None
    for number, row in enumerate(rows):
        extent = _changed_share(row, change)
        if extent is None:
            continue
        left, right, label = extent
        left, right = _STRIP + left * _STRIP_WIDTH, _STRIP + right * _STRIP_WIDTH
        y = number * _STEP
        whole = Rectangle((_STRIP, y - 0.16), _STRIP_WIDTH, 0.32, facecolor="#f0f0f0", edgecolor="#bbbbbb")
        ax.add_patch(whole)
        strip = Rectangle((left, y - 0.16), max(right - left, 0.02), 0.32, facecolor=_CHANGE, edgecolor=_CHANGE_LINE)
        strip.set(linewidth=0.5, gid=f"change:{row.layer}")
        ax.add_patch(strip)
        ax.text(_STRIP + _STRIP_WIDTH + 0.1, y, label, fontsize=7, va="center")
        if before is not None and before[0] == number - 1:
            corners = [(before[1], y - 0.84), (before[2], y - 0.84), (right, y - 0.16), (left, y - 0.16)]
            ax.add_patch(Polygon(corners, facecolor=_CHANGE, alpha=0.13, linewidth=0))
        before = (number, left, right)


def _changed_share(row: Row, change: int | None) -> tuple[float, float, str] | None:
    """Start and end of a change as shares of the output's positions, and a label; None where nothing changes."""
    if row.window is not None:
        ranges, length = row.window.ranges, max(row.window.length, 1)
        chosen = ranges.count // 2 if change is None else change
        lo, hi = int(ranges.lo[chosen]), int(ranges.hi[chosen])
        return lo / length, hi / length, f"{hi - lo} of {length}"
    if row.reference and row.reference[-1].is_full:
        return 0.0, 1.0, "all"
    if row.layer_class is LayerClass.INPUT and row.tile:
        return _changed_input(row, change)
    return None


def _changed_input(row: Row, change: int | None) -> tuple[float, float, str] | None:
    """The change itself, as the tile's first node states it."""
    alone = Row(row.layer, [row.tile[0]])
    return _changed_share(alone, change) if alone.window is not None else None


def _legend(figure: Any, rows: Sequence[Row]) -> None:
    # matplotlib is an extra: this module is imported without it
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    classes = [c for c in CLASS_COLOURS if any(r.layer_class is c for r in rows)]
    handles: list[Any] = [Patch(facecolor=CLASS_COLOURS[c], edgecolor="#777777", label=str(c)) for c in classes]
    handles.append(Line2D([], [], color="#3182bd", linestyle="dashed", label="reads the reference"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7.5, frameon=False)
