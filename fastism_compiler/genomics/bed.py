"""BED files, three to six columns (more are ignored), with line numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from fastism_compiler.genomics.errors import FileError, Refusals
from fastism_compiler.genomics.fields import check_name, whole_number
from fastism_compiler.genomics.text import read_lines

_HEADERS = ("track", "browser")
"""First words of lines that are for a genome browser."""


@dataclass(frozen=True, slots=True)
class Region:
    """A half-open, 0-based range `[start, end)` of a chromosome, and its line in the file (from 1)."""

    chrom: str
    start: int
    end: int
    name: str
    strand: str
    line: int


def read_bed(path: str | os.PathLike[str], refuse: Refusals) -> Iterator[Region]:
    """The regions of a BED file; without a name it is called `chrom:start-end`, without a strand it is on `+`.

    Args:
        path: the file.
        refuse: called with each line that is no region.

    Raises:
        FileError: a file that cannot be read or holds no region; and, unless
            lines may be skipped, a line that is no region.
    """
    seen = False
    for number, line in read_lines(path):
        if not line.strip() or line.startswith("#") or line.split()[0] in _HEADERS:
            continue
        seen = True
        try:
            yield _region(path, number, line)
        except FileError as error:
            refuse(error)
    if not seen:
        raise FileError(path, "the file holds no region")


def _region(path: str | os.PathLike[str], number: int, line: str) -> Region:
    columns = [c.strip() for c in line.split("\t")]
    if len(columns) < 3:
        got = "spaces between them" if len(line.split()) >= 3 else f"{len(columns)}: {line[:60]!r}"
        raise FileError(path, "a region has fewer than three columns between tabs", line=number, got=got)
    chrom = check_name(path, number, columns[0])
    start, end = whole_number(columns[1]), whole_number(columns[2])
    if start is None or end is None:
        raise FileError(path, "start or end is not a whole number", line=number, got=columns[1:3])
    if not chrom:
        raise FileError(path, "a region names no chromosome", line=number, got=repr(line[:60]))
    if start < 0:
        raise FileError(path, "a region starts before 0", line=number, got=start)
    if start >= end:
        raise FileError(
            path, "a region ends where it starts, or before", line=number, expected="start < end", got=(start, end)
        )
    strand = columns[5] if len(columns) > 5 else "."
    if strand not in ("+", "-", "."):
        raise FileError(path, "no such strand", line=number, expected="+, - or .", got=repr(strand))
    strand = "-" if strand == "-" else "+"
    name = columns[3] if len(columns) > 3 and columns[3] not in ("", ".") else f"{chrom}:{start}-{end}"
    return Region(chrom, start, end, check_name(path, number, name), strand, number)
