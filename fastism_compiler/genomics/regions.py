"""Regions of a genome as model inputs: a window of the model's length, centred on the region."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from fastism_compiler.errors import InputError
from fastism_compiler.genomics.aliases import SPELLINGS, hint
from fastism_compiler.genomics.bed import Region, read_bed
from fastism_compiler.genomics.encoding import Encoding
from fastism_compiler.genomics.errors import FileError, Refusals
from fastism_compiler.genomics.genome import Genome
from fastism_compiler.genomics.records import Record


@dataclass(frozen=True, slots=True)
class Windows:
    """Cuts windows of the model's length out of a genome.

    Attributes:
        genome: an open genome.
        encoding: the model's letters and length.
        path: the file that asks for them, for messages.
        pad: fill up with unknown letters beyond the ends of a chromosome.
    """

    genome: Genome
    encoding: Encoding
    path: str | os.PathLike[str]
    pad: bool = False

    def cut(self, chrom: str, start: int, end: int, line: int | str) -> str:
        """Bases `[start, end)`, of any length.

        Raises:
            FileError: an unknown chromosome, or, without `pad`, a window over its end.
        """
        length = self.length_of(chrom, line)
        if not self.pad and (start < 0 or end > length):
            raise FileError(
                self.path,
                "the model's window reaches over the end of the chromosome (pad or skip it)",
                line=line,
                expected=f"inside 0 .. {length} of {chrom}",
                got=f"{start} .. {end}",
            )
        return self.genome.fetch(chrom, start, end, self.encoding.alphabet.unknown[0])

    def length_of(self, chrom: str, line: int | str) -> int:
        """Bases of a chromosome.

        Raises:
            FileError: it is not in the genome.
        """
        if chrom not in self.genome.lengths:
            spelt, known = hint(chrom, self.genome.lengths), ", ".join(list(self.genome.lengths)[:5])
            expected = (
                f"such as {known}" if spelt is None else f"{spelt}; aliases={SPELLINGS!r} (--aliases auto) maps it"
            )
            raise FileError(self.path, "the genome has no such chromosome", line=line, expected=expected, got=chrom)
        return self.genome.lengths[chrom]

    def check_known(self, text: str, line: int | str) -> None:
        """Refuse unknown letters where the model has no token for them.

        Raises:
            FileError: there is one.
        """
        unknown = self.encoding.alphabet.unknown
        if not self.encoding.takes_unknown and any(c in text.upper() for c in unknown):
            raise FileError(
                self.path,
                "an unknown letter, and the model reads tokens without one for it",
                line=line,
                expected="unknown_token",
            )


def read_regions(bed: str | os.PathLike[str], windows: Windows, refuse: Refusals) -> Iterator[Record]:
    """The regions of a BED file as model inputs.

    The window is centred on the region: it starts at
    `(start + end) // 2 - length // 2`. On strand `-` it is reverse complemented.

    Args:
        bed: the file.
        windows: cuts them out of the genome.
        refuse: called with each region that cannot be scored.

    Raises:
        FileError: unless regions may be skipped, one that is malformed, lies
            on an unknown chromosome or beyond its end, or holds a letter
            outside the alphabet.
    """
    for region in read_bed(bed, refuse):
        try:
            yield _record(region, windows)
        except FileError as error:
            refuse(error)


def _record(region: Region, windows: Windows) -> Record:
    length, alphabet = windows.encoding.length, windows.encoding.alphabet
    chromosome = windows.length_of(region.chrom, region.line)
    beyond = region.start >= chromosome
    if beyond or (region.end > chromosome and not windows.pad):
        advice = "" if beyond else " (pad or skip it)"
        raise FileError(
            windows.path,
            f"a region lies beyond the end of its chromosome{advice}",
            line=region.line,
            expected=f"end <= {chromosome} ({region.chrom})",
            got=region.end,
        )
    start = (region.start + region.end) // 2 - length // 2
    text = windows.cut(region.chrom, start, start + length, region.line)
    windows.check_known(text, region.line)
    try:
        codes = alphabet.codes(text, f"genome at {region.chrom}:{start}")
    except InputError as error:
        raise FileError(windows.path, error.rule, line=region.line, expected=error.expected, got=error.got) from error
    if region.strand == "-":
        codes = alphabet.reverse_complement(codes)
    return Record(region.name, codes, region.chrom, start, start + length, region.strand)
