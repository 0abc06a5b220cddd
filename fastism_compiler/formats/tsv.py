"""Tab-separated scores: a line per mutation, range or variant."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fastism_compiler.formats.quantiles import check_peaks, quantiles
from fastism_compiler.formats.source import Array, Source
from fastism_compiler.genomics.alphabet import UNKNOWN
from fastism_compiler.genomics.fields import table_cell
from fastism_compiler.host.files import write_text

_NO_END = sys.maxsize
_Line = tuple[list[Any], tuple[int, ...]]
"""The first columns of a line, and where its scores stand: `[row, ...]`."""


def write_tsv(source: Source, path: Path, track: str | None, peaks: Array | None = None) -> None:
    """One file with a header; positions (from 1) and letters are those of the plus strand.

    A scan has `name chrom pos strand ref alt`, a line for each alternate
    letter; a scan of ranges `name start end` (0-based, in the model's
    input); variants `chrom pos id ref alt kind`, of splicing also `gene strand`. Then a column for every
    number of every output. A text that a spreadsheet would take for a formula has an apostrophe in front
    (`table_cell`).

    Args:
        source: the store.
        path: the file to write.
        track: one number of one output; None: all.
        peaks: predicted counts of peaks (see `quantiles.py`): columns of quantiles follow.

    Raises:
        OptionError: no such track; `peaks` for other scores.
    """
    if peaks is not None:
        check_peaks(source, track)
    labels = {(name, i): label for name in source.outputs for label, i in source.tracks(name)}
    chosen = [source.track(track)] if track else list(labels)
    header, lines = _kind(source)

    def text() -> Iterator[str]:
        first = {} if peaks is None else quantiles(source, slice(0, 0), peaks)
        yield "\t".join([*header, *(labels[c] for c in chosen), *first]) + "\n"
        for rows in source.pieces():
            scores = {name: source.read(f"scores/{name}", rows) for name, _ in chosen}
            more = {} if peaks is None else quantiles(source, rows, peaks)
            for columns, cell in lines(source, rows):
                values = [scores[name][cell + index] for name, index in chosen]
                values += [column[cell] for column in more.values()]
                yield "\t".join([*map(table_cell, columns), *(str(v) for v in values)]) + "\n"

    write_text(path, text())


def _kind(source: Source) -> tuple[list[str], Any]:
    if not source.is_scan:
        return ["chrom", "pos", *_variant_columns(source)[2:]], _variants
    if "ranges" in source.group:
        return ["name", "start", "end"], _ranges
    return ["name", "chrom", "pos", "strand", "ref", "alt"], _mutations


def _mutations(source: Source, rows: slice) -> Iterator[_Line]:
    positions = source.need_letters("")
    codes, _ = source.scanned_letters(rows, positions)
    names, lengths = source.read("name", rows), source.attributes["chromosomes"]
    for row, (chrom, at, strand) in enumerate(source.places(rows, positions)):
        letters, stop = _plus_strand(source.letters, strand), lengths.get(chrom, _NO_END)
        for place, code in enumerate(codes[row]):
            if not 0 <= at[place] < stop:  # padding beyond the end of a chromosome has no position
                continue
            reference = "N" if code == UNKNOWN else letters[code]
            for letter, alternate in enumerate(letters):
                if letter != code:
                    yield [names[row], chrom, at[place] + 1, strand, reference, alternate], (row, place, letter)


def _plus_strand(letters: str, strand: str) -> str:
    """What each letter of the model's input is called on the plus strand."""
    if strand == "+":
        return letters
    return letters.translate(str.maketrans("ACGTU", "TGCAA" if "T" in letters else "UGCAA"))


def _ranges(source: Source, rows: slice) -> Iterator[_Line]:
    ranges: Array = source.group["ranges"][:]
    for row, name in enumerate(source.read("name", rows)):
        for number, (start, end) in enumerate(ranges):
            yield [name, start, end], (row, number)


def _variants(source: Source, rows: slice) -> Iterator[_Line]:
    columns = [source.read(name, rows) for name in _variant_columns(source)]
    columns[1] = np.asarray(columns[1]) + 1
    for row, values in enumerate(zip(*columns, strict=True)):
        yield list(values), (row,)


def _variant_columns(source: Source) -> list[str]:
    genes = ("gene", "strand") if "gene" in source.group else ()
    return ["chrom", "position", "id", "ref", "alt", "kind", *genes]
