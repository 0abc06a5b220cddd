"""Figures that a notebook shows, whether or not it has imported pyplot. Imported late: matplotlib is an extra."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

_DPI = 80


class NotebookFigure(Figure):
    """A matplotlib Figure that draws itself where a cell ends with it."""

    def _repr_png_(self) -> bytes:
        drawn = io.BytesIO()
        self.savefig(drawn, format="png", dpi=_DPI)
        return drawn.getvalue()
