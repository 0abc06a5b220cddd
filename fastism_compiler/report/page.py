"""The page: everything about a scan in one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np

from fastism_compiler._version import __version__
from fastism_compiler.genomics.alphabet import ALPHABETS
from fastism_compiler.host.marks import ROOM
from fastism_compiler.plot.scan import Scan, ScannedSequence
from fastism_compiler.report.inline import inline_svg
from fastism_compiler.report.summary import Summary, on_genome

_COLUMNS = (
    ("sequence", False),
    ("place", False),
    ("strongest effect", True),
    ("size", True),
    ("change", False),
    ("on the genome", False),
    ("position", True),
    ("output", False),
    ("not computed", True),
)
"""Heading of each column of the table, and whether it holds numbers."""


def page(
    scan: Scan, summaries: Sequence[Summary], sections: Iterable[tuple[Summary, Mapping[str, Any]]], listed: int
) -> Iterable[str]:
    """The HTML, piece by piece.

    Args:
        scan: an opened store.
        summaries: of every sequence, strongest first.
        sections: summary and captioned figures of the sequences shown.
        listed: rows of the table at most.
    """
    title = f"In-silico mutagenesis: {_model_name(scan.model)}"
    yield "<!doctype html>\n"
    yield f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield f'<meta name="generator" content="{ROOM}">\n'
    yield '<link rel="icon" href="data:,">\n'
    yield f"<style>\n{_part('page.css')}</style></head><body>\n"
    yield f'<h1>{escape(title)}</h1>\n<p class="lead">{escape(_lead(scan, summaries))}</p>\n'
    shown = []
    pictures = []
    for summary, figures in sections:
        shown.append(summary.row)
        pictures.append(_section(scan, summary, figures))
    yield from _table(scan, summaries[:listed], set(shown))
    if len(summaries) > listed:
        yield f'<p class="lead">The strongest {listed:,} of {len(summaries):,} sequences.</p>\n'
    yield from pictures
    yield _settings(scan)
    yield f"<script>\n{_part('page.js')}</script>\n</body></html>\n"


def _part(name: str) -> str:
    return files("fastism_compiler.report").joinpath(name).read_text(encoding="utf-8")


def _model_name(model: Any) -> str:
    if isinstance(model, Mapping):
        return str(model.get("name") or model.get("path") or "model")
    return str(model or "model")


def _lead(scan: Scan, summaries: Sequence[Summary]) -> str:
    missing = sum(s.missing for s in summaries)
    changed = f"{len(scan.ranges):,} positions, every letter" if scan.saturated else f"{len(scan.ranges):,} ranges"
    parts = [
        f"{scan.count:,} sequences of {scan.length:,} letters",
        changed,
        f"score: {scan.score}",
        f"{missing:,} effects could not be computed" if missing else "every effect was computed",
    ]
    return " · ".join(parts)


def _table(scan: Scan, summaries: Sequence[Summary], shown: set[int]) -> Iterable[str]:
    yield '<h2>Sequences</h2>\n<div class="wide"><table class="sortable"><thead><tr>'
    for heading, number in _COLUMNS:
        kind = ' class="number"' if number else ""
        yield f'<th scope="col"{kind}><button>{heading}</button></th>'
    yield "</tr></thead><tbody>\n"
    sequences, complement = scan.sequences(), _complement(scan)
    for summary in summaries:
        sequence = sequences[summary.row]
        yield _row(sequence, summary, on_genome(summary, sequence, complement), summary.row in shown)
    yield "</tbody></table></div>\n"


def _complement(scan: Scan) -> dict[str, str]:
    """The complement of each letter; empty for an alphabet without."""
    name = scan.settings.get("alphabet", "dna")
    alphabet = ALPHABETS.get(str(name))
    return dict(zip(alphabet.letters, alphabet.complement, strict=False)) if alphabet is not None else {}


def _row(sequence: ScannedSequence, summary: Summary, genome: str, linked: bool) -> str:
    name = escape(sequence.name)
    known = not np.isnan(summary.effect)
    effect = f"{summary.effect:.4g}" if known else ""
    cells = (
        f'<td><a href="#s{summary.row}">{name}</a></td>' if linked else f"<td>{name}</td>",
        f"<td>{escape(sequence.place)}</td>",
        f'<td class="number" data-value="{summary.effect if known else ""}">{effect}</td>',
        f'<td class="number" data-value="{abs(summary.effect) if known else ""}">{effect.removeprefix("-")}</td>',
        f"<td>{escape(summary.change)}</td>",
        f"<td>{escape(genome)}</td>",
        f'<td class="number">{summary.position if known else ""}</td>',
        f"<td>{escape(str(summary.output)) if known else ''}</td>",
        f'<td class="number">{summary.missing}</td>',
    )
    return f"<tr>{''.join(cells)}</tr>\n"


def _section(scan: Scan, summary: Summary, figures: Mapping[str, Any]) -> str:
    sequence = scan.sequence(summary.row)
    genome = on_genome(summary, sequence, _complement(scan))
    change = f"{summary.change} ({genome})" if genome else summary.change
    lines = [
        f'<section id="s{summary.row}"><h2>{escape(sequence.title)}</h2>',
        f'<p class="lead">{escape(change)} changes {escape(str(summary.output))} by '
        f"{summary.effect:.4g} ({escape(scan.effect)})</p>",
    ]
    for number, (caption, figure) in enumerate(figures.items()):
        svg = inline_svg(figure, f"s{summary.row}f{number}", f"{sequence.name}: {caption}")
        lines.append(f"<figure><figcaption>{escape(caption)}</figcaption>{svg}</figure>")
    return "\n".join([*lines, "</section>\n"])


def _settings(scan: Scan) -> str:
    """What the store says about its making."""
    facts = {
        "score": scan.score,
        "alphabet": scan.alphabet,
        "outputs": ", ".join(f"{name} {list(scan.shape(name))}" for name in scan.outputs),
        **_flat("model", scan.model),
        **_flat("", scan.settings),
        "report by": f"fastism_compiler {__version__}",
    }
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    return f"<h2>Settings</h2>\n<dl>{items}</dl>\n"


def _flat(prefix: str, value: Any) -> dict[str, Any]:
    """Nested settings as one level, keys joined by dots."""
    if not isinstance(value, Mapping):
        return {prefix or "settings": value} if value not in (None, "") else {}
    nested = (_flat(f"{prefix}.{key}" if prefix else str(key), v) for key, v in value.items())
    return {key: v for part in nested for key, v in part.items()}
