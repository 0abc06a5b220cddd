"""Figures as SVG inside a page, readable on a light or dark background."""

from __future__ import annotations

import io
import re
from html import escape
from typing import Any

from fastism_compiler.plot.style import COLOURS

_ADAPTED = {"#000000": "currentColor", COLOURS["C"].lower(): "var(--letter-c)"}
"""Colours that would not be seen on a dark background, and the page's own colours for them."""


def inline_svg(figure: Any, prefix: str, label: str) -> str:
    """An `<svg>` element for a page.

    Dark colours become the page's own, the background is transparent, and every id is made unique.

    Args:
        figure: a matplotlib Figure.
        prefix: what its ids start with; different for every figure of a page.
        label: what a screen reader says.
    """
    # matplotlib is an extra: this module is imported without it
    import matplotlib as mpl

    figure.patch.set_visible(False)
    for ax in figure.axes:
        ax.patch.set_visible(False)
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": prefix, "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    for colour, adapted in _ADAPTED.items():
        text = text.replace(colour, adapted)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(label)}" ', 1).strip()
