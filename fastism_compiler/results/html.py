"""Tables for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


def table(head: Sequence[str], rows: Iterable[Sequence[object]], below: Iterable[str] = ()) -> str:
    """An HTML table with lines of text below it; everything is escaped."""
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    lines = "".join(f"<div>{escape(line)}</div>" for line in below if line)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>{lines}"
