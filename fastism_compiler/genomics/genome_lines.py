"""Whether a genome can be read by region: every line of a chromosome but its last has the same length.

pyfaidx accepts some genomes whose letters it then reads wrongly, and its errors about others do not help. So the lines
are checked here, once per genome, before pyfaidx makes its index.
"""

from __future__ import annotations

import gzip
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.sources import GZIP, Source

_LENGTHS = "the lines of a chromosome have one length and one kind of end; only its last may be shorter"
_BLANK = "a chromosome has no blank lines in it, and at most one behind it"


def check_lines(source: Source) -> None:
    """Read a genome, plain or bgzip, line by line.

    Raises:
        FileError: by line: a chromosome without a name, a name that is used twice, lines of several lengths, blank
            lines; or a file that cannot be read.
    """
    names: set[bytes] = set()
    number, chromosome = 0, _Chromosome(source.path)
    packed = source.first(2) == GZIP
    try:
        with closing(gzip.open(source.local) if packed else source.local.open("rb")) as file:
            for number, raw in enumerate(file, 1):
                if raw.startswith(b">"):
                    name = raw[1:].split()[:1]
                    _check_name(source, number, name, names)
                    names.update(name)
                    chromosome = _Chromosome(source.path)
                else:
                    chromosome.add(number, raw)
    except (EOFError, OSError, zlib.error) as error:
        raise FileError(source.path, "the genome cannot be read", line=number + 1, got=error) from error


def _check_name(source: Source, number: int, name: list[bytes], names: set[bytes]) -> None:
    if not name:
        raise FileError(source.path, "a chromosome has no name", line=number, expected=">name")
    if name[0] in names:
        raise FileError(source.path, "a name is used twice", line=number, got=name[0].decode(errors="replace"))


@dataclass
class _Chromosome:
    """The lines of one chromosome.

    Attributes:
        path: of the genome.
        size: bytes of its first line, with the line ending.
        end: the line ending.
        last: number of the shorter line that has to be its last; 0: none so far.
        blank: number of the blank line that has to end it; 0: none so far.
    """

    path: Path
    size: int = 0
    end: bytes = b""
    last: int = 0
    blank: int = 0

    def add(self, number: int, raw: bytes) -> None:
        """One more line.

        Raises:
            FileError: it does not fit the lines before.
        """
        if not (self.last or self.blank) and raw.endswith(self.end) and len(raw) == self.size > len(self.end):
            return
        letters = len(raw.rstrip(b"\r\n"))
        if self.blank:
            raise FileError(self.path, _BLANK, line=number if not letters else self.blank)
        if not letters:
            self.blank = number
        elif self.last:
            raise FileError(self.path, _LENGTHS, line=self.last)
        elif not self.size:
            self.size, self.end = len(raw), raw[letters:]
        elif letters > self.size - len(self.end):
            raise FileError(self.path, _LENGTHS, line=number, expected=self.size - len(self.end), got=letters)
        else:
            self.last = number
