"""Genomes: indexed FASTA, read by region (pyfaidx)."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from fastism_compiler.extras import missing_extra
from fastism_compiler.genomics.aliases import aliases_of
from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.genome_index import NO_INDEX, check_index
from fastism_compiler.genomics.genome_lines import check_lines
from fastism_compiler.genomics.sources import GZIP, opened
from fastism_compiler.genomics.text import read_lines
from fastism_compiler.host.files import whole_file


class Genome:
    """A FASTA file with random access.

    Unless a newer index is there, one is made, and kept beside it if its folder can be written.

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
        self._check_compression()
        self._check_text()
        self._fasta = self._open()
        self.lengths: dict[str, int] = {name: len(record) for name, record in self._fasta.items()}
        if not self.lengths:
            raise FileError(self.path, "the genome holds no chromosome")
        self._names = aliases_of(self.lengths, aliases)
        self.lengths |= {alias: self.lengths[name] for alias, name in self._names.items()}

    def own_name(self, chrom: str) -> str:
        """The name that the genome itself has for a chromosome, of which this may be an alias."""
        return self._names.get(chrom, chrom)

    def fetch(self, chrom: str, start: int, end: int, fill: str = "N") -> str:
        """Bases `[start, end)` of a chromosome, `fill` where that lies outside of it."""
        length = self.lengths[chrom]
        inside = self._read(chrom, max(start, 0), min(end, length)) if start < length and end > 0 else ""
        left, right = max(min(-start, end - start), 0), max(min(end - length, end - start), 0)
        return fill * left + inside + fill * right

    def close(self) -> None:
        """Close the file."""
        self._fasta.close()
        self._files.close()

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
            return str(self._fasta[self.own_name(chrom)][start:end])
        except Exception as error:  # pyfaidx and the bgzip reader raise many kinds
            raise FileError(self.path, "the genome is damaged", expected=f"{chrom}:{start}-{end}", got=error) from error

    def _open(self) -> Any:
        try:
            import pyfaidx  # an extra, not always installed
        except ImportError as error:
            raise missing_extra("reading a genome", "pyfaidx", "genomics") from error
        local = self._source.local
        index, blocks = (Path(f"{local}{ending}") for ending in (".fai", ".gzi"))
        needed = [index, blocks] if self._source.is_bgzip else [index]
        there = all(i.exists() and i.stat().st_mtime >= local.stat().st_mtime for i in needed)
        try:
            return self._indexed(pyfaidx, index, blocks) if there else self._made(pyfaidx, index, blocks)
        except FileError:
            raise
        except ImportError as error:
            raise missing_extra("reading a bgzip genome", "biopython", "genomics") from error
        except Exception as error:  # pyfaidx and the bgzip reader raise many kinds
            if there:
                raise FileError(index, NO_INDEX, got=error) from error
            raise FileError(self.path, "the genome cannot be indexed", got=error) from error

    def _indexed(self, pyfaidx: Any, index: Path, blocks: Path) -> Any:
        """The genome by the indexes that are there."""
        fasta = self._read_by(pyfaidx, index, blocks)
        check_index(fasta.faidx, self._source, index, blocks)
        return fasta

    def _made(self, pyfaidx: Any, index: Path, blocks: Path) -> Any:
        """The genome by new indexes, kept beside it where its folder can be written."""
        check_lines(self._source)
        with tempfile.TemporaryDirectory() as folder:
            made = [Path(folder) / i.name for i in (index, blocks)]
            fasta = self._read_by(pyfaidx, *made)
            for new, kept in zip(made, (index, blocks), strict=True):
                if new.exists():
                    with suppress(OSError), whole_file(kept) as partial:
                        shutil.copyfile(new, partial)
        return fasta

    def _read_by(self, pyfaidx: Any, index: Path, blocks: Path) -> Any:
        return pyfaidx.Fasta(str(self._source.local), as_raw=True, indexname=str(index), gzi_indexname=str(blocks))

    def _check_compression(self) -> None:
        if self._source.first(2) == GZIP and not self._source.is_bgzip:
            raise FileError(self.path, "a compressed genome without random access", expected="bgzip", got="gzip")
        if self._source.is_bgzip and self._source.local.suffix.lower() not in (".gz", ".bgz"):
            raise FileError(self.path, "the name of a bgzip genome ends with .gz", got=self.path.name)
        self._source.check_end()

    def _check_text(self) -> None:
        """The first line decides whether this is a FASTA file at all."""
        number, line = next(read_lines(self._source))
        if not line.startswith(">"):
            raise FileError(self.path, "not a FASTA file", line=number, expected=">chromosome", got=line[:40])
