"""Genes: where transcripts and their exons lie, from SpliceAI's table of genes or from BED with twelve columns."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fastism_compiler.genomics.aliases import SPELLINGS, aliases_of
from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.fields import check_name, index_number
from fastism_compiler.genomics.text import read_lines

_TABLE = ("NAME", "CHROM", "STRAND", "TX_START", "TX_END", "EXON_START", "EXON_END")
"""Columns of SpliceAI's tables of genes, such as its `grch38.txt`; starts are counted from 0, ends are not included."""
_BED_COLUMNS = 12


@dataclass(frozen=True, slots=True)
class Gene:
    """One transcript.

    Attributes:
        name: of the gene.
        chrom: as the file says it.
        strand: `+` or `-`.
        start: first base (0-based).
        end: behind the last base.
        boundaries: first and last base of every exon, in ascending order.
    """

    name: str
    chrom: str
    strand: str
    start: int
    end: int
    boundaries: tuple[int, ...]

    def to_boundary(self, position: int) -> int:
        """From a position to the nearest end of an exon, to the right if positive; of two as near, the left one."""
        return min((b - position for b in self.boundaries), key=abs)

    def masked(self, text: str, start: int, fill: str) -> str:
        """The bases of the genome from `start` on, with `fill` for those outside the gene."""
        left = min(max(self.start - start, 0), len(text))
        right = min(max(start + len(text) - self.end, 0), len(text) - left)
        return fill * left + text[left : len(text) - right] + fill * right


class Genes:
    """The genes of a file, by position.

    Args:
        path: SpliceAI's table of genes, or BED with twelve columns; plain or gzip.

    Raises:
        FileError: a file that cannot be read, holds no gene, or a line that is none.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        by_chrom: dict[str, list[Gene]] = {}
        for gene in read_genes(path):
            by_chrom.setdefault(gene.chrom, []).append(gene)
        if not by_chrom:
            raise FileError(path, "the file holds no gene")
        self._genes = {chrom: sorted(genes, key=lambda g: g.start) for chrom, genes in by_chrom.items()}
        self._starts = {chrom: [g.start for g in genes] for chrom, genes in self._genes.items()}
        self._longest = {chrom: max(g.end - g.start for g in genes) for chrom, genes in self._genes.items()}
        self._names = aliases_of(self._genes, SPELLINGS)

    def has(self, chrom: str) -> bool:
        """Whether the file has a gene on this chromosome; `chr1` is `1` too."""
        return self._names.get(chrom, chrom) in self._genes

    def at(self, chrom: str, position: int) -> list[Gene]:
        """The genes over a position (0-based), by where they start; `chr1` is `1` too."""
        chrom = self._names.get(chrom, chrom)
        starts = self._starts.get(chrom, [])
        first = bisect_right(starts, position - self._longest.get(chrom, 0))
        last = bisect_right(starts, position)
        return [gene for gene in self._genes.get(chrom, [])[first:last] if position < gene.end]


def read_genes(path: str | os.PathLike[str]) -> Iterator[Gene]:
    """The genes of a file, in its order (see `Genes`).

    Raises:
        FileError: a file that cannot be read, or a line that is no gene.
    """
    parse = None
    for number, line in read_lines(path):
        cells = [cell.strip() for cell in line.split("\t")]
        if tuple(cells)[: len(_TABLE)] == (f"#{_TABLE[0]}", *_TABLE[1:]):
            parse = _of_table
        elif line.strip() and not line.startswith(("#", "track", "browser")):
            parse = parse or _of_bed
            yield parse(path, number, cells)


def _of_table(path: str | os.PathLike[str], line: int, cells: list[str]) -> Gene:
    if len(cells) < len(_TABLE):
        raise FileError(path, "a gene has seven columns", line=line, expected=" ".join(_TABLE), got=len(cells))
    name, chrom, strand, start, end = cells[:5]
    starts, ends = (_numbers(path, line, cell) for cell in cells[5:7])
    return _gene(path, line, (name, chrom, strand), _span(path, line, start, end), starts, ends)


def _of_bed(path: str | os.PathLike[str], line: int, cells: list[str]) -> Gene:
    if len(cells) < _BED_COLUMNS:
        expected = f"#{_TABLE[0]} {' '.join(_TABLE[1:])} as the first line, or BED with twelve columns"
        raise FileError(path, "a line is no gene", line=line, expected=expected, got=f"{len(cells)} columns")
    span = _span(path, line, cells[1], cells[2])
    sizes, offsets = (_numbers(path, line, cell) for cell in cells[10:12])
    if len(sizes) != len(offsets):
        raise FileError(path, "a gene has as many block sizes as block starts", line=line, got=cells[10:12])
    starts = [span[0] + offset for offset in offsets]
    ends = [begin + size for begin, size in zip(starts, sizes, strict=True)]
    return _gene(path, line, (cells[3], cells[0], cells[5]), span, starts, ends)


def _gene(
    path: str | os.PathLike[str],
    line: int,
    called: tuple[str, str, str],
    span: tuple[int, int],
    starts: Sequence[int],
    ends: Sequence[int],
) -> Gene:
    name, chrom, strand = (check_name(path, line, text) for text in called)
    if not name or not chrom or any(c in name for c in "|;,= "):
        raise FileError(
            path, "a gene has a name, without the characters of a field", line=line, expected="no | ; , = or space",
            got=repr(name),
        )  # fmt: skip
    if strand not in ("+", "-"):
        raise FileError(path, "a gene lies on a strand", line=line, expected="+ or -", got=repr(strand))
    exons = list(zip(starts, ends, strict=False))
    inside = all(span[0] <= start < end <= span[1] for start, end in exons)
    if not exons or len(starts) != len(ends) or not inside:
        raise FileError(
            path, "a gene has exons, and they lie in it", line=line, expected=f"in {span[0]} .. {span[1]}",
            got=exons[:8],
        )  # fmt: skip
    boundaries = sorted({b for start, end in exons for b in (start, end - 1)})
    return Gene(name, chrom, strand, span[0], span[1], tuple(boundaries))


def _span(path: str | os.PathLike[str], line: int, start: str, end: str) -> tuple[int, int]:
    first, last = index_number(start), index_number(end)
    if first is None or last is None:
        raise FileError(path, "positions are whole numbers", line=line, got=f"{start!r} and {end!r}")
    return first, last


def _numbers(path: str | os.PathLike[str], line: int, text: str) -> list[int]:
    """Numbers between commas; one at the end is allowed."""
    found = [index_number(part.strip()) for part in text.removesuffix(",").split(",")]
    if any(number is None for number in found):
        raise FileError(path, "positions are whole numbers", line=line, got=repr(text))
    return [number for number in found if number is not None]
