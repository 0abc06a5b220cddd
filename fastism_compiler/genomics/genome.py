"""Genomes: indexed FASTA, read by region (pyfaidx)."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.extras import missing_extra
from fastism_compiler.genomics.text import check_file, first_bytes, read_lines

_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every complete bgzip file."""
_HEADER = 1 << 16
"""Bytes that hold most headers; of longer ones, the name is not looked at."""
_NO_INDEX = "not an index of this genome; remove it, and it is made again"


class Genome:
    """A FASTA file with random access.

    Its index is made beside it on first use, and again when it is older; in a temporary folder where that cannot be.

    Args:
        path: plain or bgzip FASTA.

    Attributes:
        lengths: bases of each chromosome.

    Raises:
        FileError: a missing, damaged or gzipped (not bgzipped) file, or an index that was made for another.
        OptionError: pyfaidx is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = check_file(path)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        _check_compression(self.path)
        self._check_text()
        self._fasta = self._open()
        self.lengths: dict[str, int] = {name: len(record) for name, record in self._fasta.items()}
        if not self.lengths:
            raise FileError(self.path, "the genome holds no chromosome")

    def fetch(self, chrom: str, start: int, end: int, fill: str = "N") -> str:
        """Bases `[start, end)` of a chromosome, `fill` where that lies outside of it."""
        length = self.lengths[chrom]
        inside = self._fasta[chrom][max(start, 0) : max(min(end, length), 0)] if start < length and end > 0 else ""
        left, right = max(min(-start, end - start), 0), max(min(end - length, end - start), 0)
        return fill * left + str(inside) + fill * right

    def close(self) -> None:
        """Close the file, and remove a temporary index."""
        self._fasta.close()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> Genome:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> Any:
        try:
            import pyfaidx  # an extra, not always installed
        except ImportError as error:
            raise missing_extra("reading a genome", "pyfaidx", "genomics") from error
        index = Path(f"{self.path}.fai")
        there = index.exists() and index.stat().st_mtime >= self.path.stat().st_mtime
        if not there and not os.access(self.path.parent, os.W_OK):
            self._folder = tempfile.TemporaryDirectory()
            index = Path(self._folder.name) / f"{self.path.name}.fai"
        try:
            fasta = pyfaidx.Fasta(str(self.path), as_raw=True, indexname=str(index))
        except ImportError as error:
            raise missing_extra("reading a bgzip genome", "biopython", "genomics") from error
        except (pyfaidx.FastaIndexingError, pyfaidx.UnsupportedCompressionFormat, ValueError, OSError) as error:
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
        if first_bytes(self.path, 2) == b"\x1f\x8b":
            return
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            for name, entry in index.items():
                if not _fits(file, size, name, entry):
                    raise FileError(path, _NO_INDEX, got=name)

    def _check_text(self) -> None:
        """The first line decides whether this is a FASTA file at all."""
        number, line = next(read_lines(self.path))
        if not line.startswith(">"):
            raise FileError(self.path, "not a FASTA file", line=number, expected=">chromosome", got=line[:40])


def _fits(file: BinaryIO, size: int, name: str, entry: Any) -> bool:
    """Whether a chromosome begins and ends where an index entry says."""
    begin = max(entry.offset - _HEADER, 0)
    file.seek(begin)
    _, newline, header = file.read(entry.offset - begin).rstrip(b"\r\n").rpartition(b"\n")
    longer = not newline and begin > 0
    named = longer or header.removeprefix(b">").split()[:1] == [name.encode()]
    full, rest = divmod(entry.rlen, entry.lenc or 1)
    end = entry.offset + full * entry.lenb + rest
    file.seek(min(end, size))
    # the last line may lack its end
    return named and end <= size + entry.lenb - entry.lenc and file.read(1) in (b"", b">", b"\n", b"\r")


def _check_compression(path: Path) -> None:
    start = first_bytes(path, 18)
    if not start.startswith(b"\x1f\x8b"):
        return
    if start[12:14] != b"BC":
        raise FileError(path, "a compressed genome needs random access", expected="bgzip", got="gzip")
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(file.tell() - len(_BGZF_END), 0))
        if file.read() != _BGZF_END:
            raise FileError(path, "the bgzip file is truncated", expected="an empty last block")
