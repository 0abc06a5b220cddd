"""Pictures of scans and programs. Needs the `plot` extra (matplotlib, scipy).

Each function returns a matplotlib Figure that belongs to no pyplot window: save it, or show it in a notebook.
"""

from fastism_compiler.plot.browser import browser_figure
from fastism_compiler.plot.designs import design_figure
from fastism_compiler.plot.graphs import graph_figure
from fastism_compiler.plot.heatmap import draw_heatmap, heatmap_figure
from fastism_compiler.plot.logo import draw_logo, logo_figure
from fastism_compiler.plot.style import COLOURS, save
from fastism_compiler.plot.tracks import outputs_figure
from fastism_compiler.plot.variants import lollipop_figure

__all__ = [
    "COLOURS",
    "browser_figure",
    "design_figure",
    "draw_heatmap",
    "draw_logo",
    "graph_figure",
    "heatmap_figure",
    "logo_figure",
    "lollipop_figure",
    "outputs_figure",
    "save",
]
