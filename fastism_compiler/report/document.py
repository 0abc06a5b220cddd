"""One HTML file that needs no network: its frame, tables that sort, and lists of settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from fastism_compiler._version import __version__
from fastism_compiler.host.marks import ROOM
from fastism_compiler.report.inline import inline_svg

Columns = Sequence[tuple[str, bool]]
"""Heading of each column of a table, and whether it holds numbers."""


def document(title: str, lead: str, parts: Iterable[str]) -> Iterable[str]:
    """The HTML, piece by piece.

    Args:
        title: of the page.
        lead: the line below it.
        parts: HTML of the rest.
    """
    yield "<!doctype html>\n"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f'<meta name="generator" content="{ROOM}">\n'
    yield '<link rel="icon" href="data:,">\n'
    yield f"<style>\n{_part('page.css')}</style></head><body>\n"
    yield f'<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n'
    yield from parts
    yield f"<script>\n{_part('page.js')}</script>\n</body></html>\n"


def sortable(heading: str, columns: Columns, rows: Iterable[str]) -> Iterable[str]:
    """A table whose columns sort; `rows` are HTML."""
    yield f'<h2>{escape(heading)}</h2>\n<div class="wide"><table class="sortable"><thead><tr>'
    for name, number in columns:
        kind = ' class="number"' if number else ""
        yield f'<th scope="col"{kind}><button>{name}</button></th>'
    yield "</tr></thead><tbody>\n"
    yield from rows
    yield "</tbody></table></div>\n"


def text_cell(text: str) -> str:
    """A cell with text."""
    return f"<td>{escape(text)}</td>"


def number_cell(shown: str, value: float | None = None) -> str:
    """A cell with a number, sorted by `value`; nothing where there is none."""
    data = "" if value is None else f' data-value="{value}"'
    return f'<td class="number"{data}>{shown}</td>'


def effect_cells(effect: float, known: bool) -> tuple[str, str]:
    """An effect, and its size; empty where it is not known."""
    if not known:
        return '<td class="number" data-value=""></td>', '<td class="number" data-value=""></td>'
    shown = f"{effect:.4g}"
    return number_cell(shown, effect), number_cell(shown.removeprefix("-"), abs(effect))


def picture(figure: Any, prefix: str, caption: str, label: str) -> str:
    """A figure with its caption; `prefix` is of its ids, `label` what a screen reader says."""
    return f"<figure><figcaption>{escape(caption)}</figcaption>{inline_svg(figure, prefix, label)}</figure>"


def settings_list(facts: Mapping[str, Any]) -> str:
    """What the store says about its making; nested settings as one level, keys joined by dots."""
    flat = {**_flat("", facts), "report by": f"fastism_compiler {__version__}"}
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in flat.items())
    return f"<h2>Settings</h2>\n<dl>{items}</dl>\n"


def model_name(model: Any) -> str:
    """The name of the model, as a store has it."""
    if isinstance(model, Mapping):
        return str(model.get("name") or model.get("path") or "model")
    return str(model or "model")


def _part(name: str) -> str:
    return files("fastism_compiler.report").joinpath(name).read_text(encoding="utf-8")


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix or "settings": value} if value not in (None, "") else {}
    nested = (_flat(f"{prefix}.{key}" if prefix else str(key), v) for key, v in value.items())
    return {key: v for part in nested for key, v in part.items()}
