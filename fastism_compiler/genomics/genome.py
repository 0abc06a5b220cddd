"""Genomes: indexed FASTA, read by region (pyfaidx)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from fastism_compiler.genomics.aliases import aliases_of
from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.extras import missing_extra
from fastism_compiler.genomics.genome_lines import check_lines
from fastism_compiler.genomics.sources import GZIP, opened
from fastism_compiler.genomics.text import read_lines

_HEADER = 1 << 16
"""Bytes that are read to find a header; the name in a longer header is not checked."""
_ENDS = 5
"""Bytes that hold the ends of a chromosome's last line and of a blank line, and the next header's first."""
_NO_INDEX = "not an index of this genome; remove it, and it is made again"


class Genome:
    """A FASTA file with random access.

    Unless a newer index is there, one is made beside it, or in a temporary folder if its own folder is read-only.

    Args:
        path: plain or bgzip FASTA, or an open `Source`, which is not closed.
        aliases: other names of its chromosomes (see `aliases_of`).

    Attributes:
        lengths: bases of each chromosome, by its name and its aliases.

    Raises:
        FileError: a missing, damaged or gzipped (not bgzipped) file, or an index that was made for another.
        OptionError: pyfaidx is not installed.
    """

    def __init__(self, path: str | os.PathLike[str], aliases: str | None = None) -> None:
        self._files = ExitStack()
        self._source = self._files.enter_context(opened(path))
        self.path = self._source.path
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._check_compression()
        self._check_text()
        self._fasta = self._open()
        self.lengths: dict[str, int] = {name: len(record) for name, record in self._fasta.items()}
        if not self.lengths:
            raise FileError(self.path, "the genome holds no chromosome")
        self._names = aliases_of(self.lengths, aliases)
        self.lengths |= {alias: self.lengths[name] for alias, name in self._names.items()}

    def fetch(self, chrom: str, start: int, end: int, fill: str = "N") -> str:
        """Bases `[start, end)` of a chromosome, `fill` where that lies outside of it."""
        length = self.lengths[chrom]
        inside = self._read(chrom, max(start, 0), min(end, length)) if start < length and end > 0 else ""
        left, right = max(min(-start, end - start), 0), max(min(end - length, end - start), 0)
        return fill * left + inside + fill * right

    def close(self) -> None:
        """Close the file, and remove a temporary index."""
        self._fasta.close()
        self._files.close()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Genome:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._source.check_unchanged()
        finally:
            self.close()  # and with it the copy of a pipe

    def _read(self, chrom: str, start: int, end: int) -> str:
        try:
            return str(self._fasta[self._names.get(chrom, chrom)][start:end])
        except Exception as error:  # pyfaidx and the bgzip reader raise many kinds
            raise FileError(self.path, "the genome is damaged", expected=f"{chrom}:{start}-{end}", got=error) from error

    def _open(self) -> Any:
        try:
            import pyfaidx  # an extra, not always installed
        except ImportError as error:
            raise missing_extra("reading a genome", "pyfaidx", "genomics") from error
        local = self._source.local
        index = Path(f"{local}.fai")
        there = index.exists() and index.stat().st_mtime >= local.stat().st_mtime
        if not there and not os.access(local.parent, os.W_OK):
            self._folder = tempfile.TemporaryDirectory()
            index = Path(self._folder.name) / f"{local.name}.fai"
        if not there:
            check_lines(self._source)
        try:
            fasta = pyfaidx.Fasta(str(local), as_raw=True, indexname=str(index))
        except ImportError as error:
            raise missing_extra("reading a bgzip genome", "biopython", "genomics") from error
        except Exception as error:  # pyfaidx and the bgzip reader raise many kinds
            if there:
                raise FileError(index, _NO_INDEX, got=error) from error
            index.unlink(missing_ok=True)  # half an index must not pass for one
            raise FileError(self.path, "the genome cannot be indexed", got=error) from error
        if there:
            self._check_index(index, fasta.faidx.index)
        return fasta

    def _check_index(self, path: Path, index: Mapping[str, Any]) -> None:
        """An index that was made for another file gives other letters, or none.

        Raises:
            FileError: it is empty, or a plain genome's chromosome does not begin, or end, where it says.
        """
        if not index:
            raise FileError(path, _NO_INDEX, got="an empty file")
        if self._source.first(2) == GZIP:
            return
        local = self._source.local
        size = local.stat().st_size
        with local.open("rb") as file:
            for name, entry in index.items():
                if not _fits(file, size, name, entry):
                    raise FileError(path, _NO_INDEX, got=name)

    def _check_compression(self) -> None:
        if self._source.first(2) == GZIP and not self._source.is_bgzip:
            raise FileError(self.path, "a compressed genome without random access", expected="bgzip", got="gzip")
        self._source.check_end()

    def _check_text(self) -> None:
        """The first line decides whether this is a FASTA file at all."""
        number, line = next(read_lines(self._source))
        if not line.startswith(">"):
            raise FileError(self.path, "not a FASTA file", line=number, expected=">chromosome", got=line[:40])


def _fits(file: BinaryIO, size: int, name: str, entry: Any) -> bool:
    """Whether a chromosome begins and ends where an index entry says."""
    begin = max(entry.offset - _HEADER, 0)
    file.seek(begin)
    _, newline, header = file.read(entry.offset - begin).rstrip(b"\r\n").rpartition(b"\n")
    longer = not newline and begin > 0
    named = longer or header.removeprefix(b">").split()[:1] == [name.encode()]
    lines, rest = divmod(max(entry.rlen - 1, 0), entry.lenc or 1)
    count = min(rest + 1, entry.rlen)
    file.seek(entry.offset + lines * entry.lenb - 1)
    text = file.read(1 + count + _ENDS)
    before, line, after = text[:1], text[1 : 1 + count], text[1 + count :]
    ended = after[:1] in (b"", b"\n", b"\r") and after.lstrip(b"\r\n")[:1] in (b"", b">")
    whole = before == b"\n" and len(line) == count and not any(end in line for end in (b"\r", b"\n", b">"))
    return named and whole and ended
