"""The user's own VCF with the scores of a store: every line in its place, with new INFO fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastism_compiler.formats.info import PREFIX, info_fields, merged
from fastism_compiler.formats.source import Source
from fastism_compiler.formats.vcf import check_variants
from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.fields import index_number
from fastism_compiler.genomics.sources import Source as InputFile
from fastism_compiler.genomics.text import read_lines
from fastism_compiler.genomics.vcf import vcf_contents
from fastism_compiler.host.files import write_text
from fastism_compiler.ir.errors import OptionError

_COLUMNS, _INFO = 8, 7
"""Columns of a record without samples, and the place of INFO among them."""
Values = Mapping[str, str]
"""INFO key -> what an allele has there."""


def write_annotated(table: InputFile, source: Source, path: Path, track: str | None) -> None:
    """The lines of a VCF, with the scores of a store as INFO fields.

    No record is dropped; those that were not scored get no field. Fields have one value per alternate allele
    (`Number=A`; with several numbers per allele `Number=.`, the alleles in turn); an allele that was not scored has
    `.`, of splicing no entry. Fields of an earlier annotation are replaced.

    Args:
        table: the VCF, plain or gzip.
        source: a store of variants of this file.
        path: a text file to write.
        track: must be None: all outputs are written.

    Raises:
        OptionError: a scan, a track, or a table that is no VCF.
        FileError: a table that lacks a variant of the store, or cannot be read.
    """
    check_variants(source, track)
    if not is_annotated(table):
        raise OptionError("annotate= names a VCF", expected="VCF, plain or gzip", got=str(table.path))
    write_text(path, _lines(table, source))


def is_annotated(table: InputFile) -> bool:
    """Whether a file of variants is one that can be annotated: VCF as text."""
    return vcf_contents(table) == "vcf"


def _lines(table: InputFile, source: Source) -> Iterator[str]:
    scored = _Scored(table, source)
    for _, line in read_lines(table):
        if line.startswith(f"##INFO=<ID={PREFIX}"):
            continue
        if line.startswith("#CHROM"):
            yield from (f"{field}\n" for field in scored.header)
        yield (line if line.startswith("#") else _annotated(line, scored)) + "\n"
    scored.check_end()


def _annotated(line: str, scored: _Scored) -> str:
    """A record with the values of its alleles, and without those of an earlier annotation."""
    columns = line.split("\t")
    if len(columns) < _INFO - 2:
        return line
    alleles = [scored.take(columns[0], columns[1], columns[3], alternate) for alternate in columns[4].split(",")]
    added = scored.info(alleles) if any(alleles) else []
    if not added and not any(PREFIX in column for column in columns[_INFO:_COLUMNS]):
        return line
    columns += ["."] * (_COLUMNS - len(columns))
    kept = [part for part in columns[_INFO].split(";") if part not in ("", ".") and not part.startswith(PREFIX)]
    columns[_INFO] = ";".join([*kept, *added]) or "."
    return "\t".join(columns)


@dataclass(frozen=True, slots=True)
class _Row:
    """A variant of the store."""

    chrom: str
    position: int
    ref: str
    alt: str
    record: int
    values: Values

    @property
    def allele(self) -> tuple[str, int, str, str]:
        """What tells it apart from other alleles."""
        return self.chrom, self.position, self.ref, self.alt


class _Scored:
    """The variants of a store, in the order of the file that they were read from.

    Attributes:
        header: lines of the INFO fields.
    """

    def __init__(self, table: InputFile, source: Source) -> None:
        self._table, self._fields = table, info_fields(source)
        self.header = [field.header("A" if field.size == 1 else ".") for field in self._fields]
        self._rows = self._read(source)
        self._next: _Row | None = next(self._rows, None)

    def take(self, chrom: str, pos: str, ref: str, alt: str) -> Values | None:
        """The values of an allele, if it is the next one that was scored."""
        row, position = self._next, index_number(pos.strip())
        if row is None or position is None:
            return None
        if row.allele != (chrom, position - 1, ref.strip().upper(), alt.strip().upper()):
            return None
        values = row.values
        self._next = further = next(self._rows, None)
        while further is not None and further.record == row.record:
            values = merged(self._fields, values, further.values)
            self._next = further = next(self._rows, None)
        return values

    def info(self, alleles: Sequence[Values | None]) -> list[str]:
        """The INFO fields of a record."""
        found = []
        for field in self._fields:
            none = ",".join(["."] * field.size)
            values = [a[field.key] if a else none for a in alleles]
            found.append(f"{field.key}={','.join(value for value in values if value)}")
        return found

    def check_end(self) -> None:
        """Refuse a file that has not all variants of the store.

        Raises:
            FileError: it has not.
        """
        row = self._next
        if row is not None:
            raise FileError(
                self._table,
                "the file lacks a variant of the store, or has its variants in another order",
                expected=f"{row.chrom}:{row.position + 1} {row.ref}>{row.alt}: the file that the store was made from",
            )

    def _read(self, source: Source) -> Iterator[_Row]:
        for piece in source.pieces():
            columns = [source.read(name, piece) for name in ("chrom", "position", "ref", "alt")]
            records = source.read("record", piece) if "record" in source.group else range(piece.start, piece.stop)
            entries = [(field, field.read(piece)) for field in self._fields]
            for i, (chrom, position, ref, alt) in enumerate(zip(*columns, strict=True)):
                values = {field.key: field.text(found[i]) for field, found in entries}
                yield _Row(str(chrom), int(position), str(ref), str(alt), int(records[i]), values)
