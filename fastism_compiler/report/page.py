"""The page of a scan: a table of all sequences, and the pictures of the strongest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from fastism_compiler.genomics.alphabet import ALPHABETS
from fastism_compiler.plot.scan import Scan, ScannedSequence
from fastism_compiler.report.document import (
    document,
    effect_cells,
    model_name,
    number_cell,
    picture,
    settings_list,
    sortable,
    text_cell,
)
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
    title = f"In-silico mutagenesis: {model_name(scan.model)}"
    return document(title, _lead(scan, summaries), _parts(scan, summaries, sections, listed))


def _parts(
    scan: Scan, summaries: Sequence[Summary], sections: Iterable[tuple[Summary, Mapping[str, Any]]], listed: int
) -> Iterable[str]:
    shown = []
    pictures = []
    for summary, figures in sections:
        shown.append(summary.row)
        pictures.append(_section(scan, summary, figures))
    yield from sortable("Sequences", _COLUMNS, _rows(scan, summaries[:listed], set(shown)))
    if len(summaries) > listed:
        yield f'<p class="lead">The strongest {listed:,} of {len(summaries):,} sequences.</p>\n'
    yield from pictures
    yield settings_list(
        {
            "score": scan.score,
            "alphabet": scan.alphabet,
            "outputs": ", ".join(f"{name} {list(scan.shape(name))}" for name in scan.outputs),
            "model": scan.model,
            "": scan.settings,
        }
    )


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


def _rows(scan: Scan, summaries: Sequence[Summary], shown: set[int]) -> Iterable[str]:
    sequences, complement = scan.sequences(), _complement(scan)
    for summary in summaries:
        sequence = sequences[summary.row]
        yield _row(sequence, summary, on_genome(summary, sequence, complement), summary.row in shown)


def _complement(scan: Scan) -> dict[str, str]:
    """The complement of each letter; empty for an alphabet without."""
    name = scan.settings.get("alphabet", "dna")
    alphabet = ALPHABETS.get(str(name))
    return dict(zip(alphabet.letters, alphabet.complement, strict=False)) if alphabet is not None else {}


def _row(sequence: ScannedSequence, summary: Summary, genome: str, linked: bool) -> str:
    name = escape(sequence.name)
    known = not np.isnan(summary.effect)
    cells = (
        f'<td><a href="#s{summary.row}">{name}</a></td>' if linked else f"<td>{name}</td>",
        text_cell(sequence.place),
        *effect_cells(summary.effect, known),
        text_cell(summary.change),
        text_cell(genome),
        number_cell(str(summary.position) if known else ""),
        text_cell(str(summary.output) if known else ""),
        number_cell(str(summary.missing)),
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
        lines.append(picture(figure, f"s{summary.row}f{number}", caption, f"{sequence.name}: {caption}"))
    return "\n".join([*lines, "</section>\n"])
