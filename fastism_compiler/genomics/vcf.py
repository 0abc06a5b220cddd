"""Variants from VCF (text, gzip, bgzip), BCF and tab-separated files, one alternate each.

Text is not read by htslib, which reports no line numbers: errors have to name
the line. BCF is read by cyvcf2; errors name the record by its number, from 0.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from fastism_compiler.extras import missing_extra
from fastism_compiler.genomics.errors import FileError, Refusals
from fastism_compiler.genomics.fields import check_name, index_number
from fastism_compiler.genomics.sources import Source, opened
from fastism_compiler.genomics.text import read_lines

_HEADER = ("#CHROM", "POS", "ID", "REF", "ALT")
_TSV = ("chrom", "pos", "ref", "alt")
_CONTIG = re.compile(r"^##contig=<(?:.*,)?ID=([^,>]+),(?:.*,)?length=(\d{1,18})[,>]")
_VCF_NAMES = (".vcf", ".vcf.gz", ".vcf.bgz")
_VCF_BEGINS, _BCF_BEGINS = b"##fileformat=VCF", b"BCF\x02"


@dataclass(frozen=True, slots=True)
class Variant:
    """One alternate allele.

    Attributes:
        chrom: chromosome.
        position: 0-based position of the first reference base.
        name: the ID, or `.`.
        ref: reference allele, in upper case.
        alt: alternate allele, in upper case.
        line: its line, from 1; of a BCF file its record, as `[0]`, from 0.
    """

    chrom: str
    position: int
    name: str
    ref: str
    alt: str
    line: int | str


@dataclass(frozen=True, slots=True)
class _Row:
    """The columns of one line, not yet checked."""

    chrom: str
    pos: str
    name: str
    ref: str
    alt: str
    line: int | str


def read_variants(
    path: str | os.PathLike[str], letters: str, refuse: Refusals, contigs: dict[str, int] | None = None
) -> Iterator[Variant]:
    """The variants of a VCF, BCF or tab-separated file; lines with several alternates are split.

    The format is known by the name (.vcf, .vcf.gz, .vcf.bgz, .bcf), or else by
    the first bytes: a pipe may hold any format. A tab-separated file has a header
    with the columns chrom, pos, ref, alt and, if wanted, id; or none, and
    those four columns first. Positions count from 1, as in VCF.

    Args:
        path: the file, or an open `Source`.
        letters: of the alphabet; alleles consist of them.
        refuse: called with the error of each line or alternate that is no substitution, insertion or deletion.
        contigs: filled with the chromosome lengths of a VCF header before the first variant is yielded.

    Raises:
        FileError: a file that cannot be read or holds no variant; and, unless
            variants may be skipped, a line that is none.
        OptionError: a BCF file, and cyvcf2 is not installed.
    """
    with opened(path) as source:
        rows = _rows(source, {} if contigs is None else contigs)
        yield from _alternates(source, rows, letters, refuse)


def is_variant_file(source: Source) -> bool:
    """Whether a file is VCF or BCF, by its name or how it begins."""
    return vcf_contents(source) is not None


def vcf_contents(source: Source) -> str | None:
    """`bcf` or `vcf`; None for anything else."""
    name, begins = source.path.name.lower(), source.first_unpacked(len(_VCF_BEGINS))
    if name.endswith(".bcf") or begins.startswith(_BCF_BEGINS):
        return "bcf"
    return "vcf" if name.endswith(_VCF_NAMES) or begins == _VCF_BEGINS else None


def _rows(source: Source, contigs: dict[str, int]) -> Iterator[_Row | FileError]:
    kind = vcf_contents(source)
    if kind == "bcf":
        return _bcf_rows(source)
    return _vcf_rows(source, contigs) if kind == "vcf" else _tsv_rows(source)


def _alternates(path: Source, rows: Iterator[_Row | FileError], letters: str, refuse: Refusals) -> Iterator[Variant]:
    seen = False
    for row in rows:
        seen = True
        if isinstance(row, FileError):
            refuse(row)
            continue
        for alternate in row.alt.split(","):
            try:
                yield _variant(path, row, alternate.strip().upper(), letters)
            except FileError as error:
                refuse(error)
    if not seen:
        raise FileError(path, "the file holds no variant")


def _vcf_rows(path: Source, contigs: dict[str, int]) -> Iterator[_Row | FileError]:
    header = False
    for number, line in read_lines(path):
        if number == 1 and not line.startswith("##fileformat=VCF"):
            raise FileError(path, "not a VCF file", line=1, expected="##fileformat=VCF...", got=line[:40])
        if line.startswith("##") or not line.strip():
            contigs.update((name, int(length)) for name, length in _CONTIG.findall(line))
            continue
        columns = line.split("\t")
        if line.startswith("#"):
            header = tuple(columns[:5]) == _HEADER
            if not header:
                raise FileError(path, "not the header of a VCF file", line=number, expected=_HEADER, got=line[:60])
            continue
        if not header:
            raise FileError(path, "a VCF file without a header before its variants", line=number, expected="#CHROM ...")
        if len(columns) < 5:
            yield FileError(
                path,
                "a variant has at least five columns, between tabs",
                line=number,
                got=f"{len(columns)}: {line[:60]!r}",
            )
            continue
        yield _Row(columns[0], columns[1], columns[2] or ".", columns[3], columns[4], number)


def _tsv_rows(path: Source) -> Iterator[_Row | FileError]:
    columns: list[str] | None = None
    for number, line in read_lines(path):
        if not line.strip() or line.startswith("##"):
            continue
        values = [v.strip() for v in line.removeprefix("#").split("\t")]
        if columns is None:
            named = [v.lower() for v in values]
            columns = named if "chrom" in named or "pos" in named else list(_TSV)
            missing = [c for c in _TSV if c not in columns]
            if missing:
                raise FileError(
                    path, "a column is missing", line=number, expected=list(_TSV), got=f"no {', '.join(missing)}"
                )
            if columns is named:
                continue
        if len(values) < len(_TSV) or len(values) < max(columns.index(c) for c in _TSV) + 1:
            yield FileError(
                path,
                "a variant has at least four columns, between tabs",
                line=number,
                got=f"{len(values)}: {line[:60]!r}",
            )
            continue
        row = dict(zip(columns, values, strict=False))
        yield _Row(row["chrom"], row["pos"], row.get("id", ".") or ".", row["ref"], row["alt"], number)


def _bcf_rows(path: Source) -> Iterator[_Row | FileError]:
    try:
        import cyvcf2  # an extra, not always installed
    except ImportError as error:
        raise missing_extra("reading BCF", "cyvcf2", "genomics") from error
    if not path.first_unpacked(len(_BCF_BEGINS)).startswith(_BCF_BEGINS):
        raise FileError(path, "not a BCF file")
    path.check_end()
    with path.read():  # hashed; htslib reads it by its name
        pass
    try:
        for number, record in enumerate(cyvcf2.VCF(str(path.local))):
            alternates = ",".join(record.ALT) or "."
            yield _Row(record.CHROM, str(record.POS), record.ID or ".", record.REF, alternates, f"[{number}]")
    except FileError:
        raise
    except Exception as error:
        raise FileError(path, "the BCF file cannot be read", got=error) from error
    path.check_unchanged()


def _variant(path: Source, row: _Row, alternate: str, letters: str) -> Variant:
    reference = row.ref.strip().upper()
    if not row.chrom:
        raise FileError(path, "a variant names no chromosome", line=row.line)
    for name in (row.chrom, row.name):
        check_name(path, row.line, name)
    position = index_number(row.pos)
    if position is None:
        raise FileError(path, "a position is not a whole number", line=row.line, got=repr(row.pos))
    if position < 1:
        raise FileError(path, "a position is below 1, where positions count from 1", line=row.line, got=row.pos)
    if not reference or set(reference) - set(letters):
        raise FileError(
            path, "the reference allele is not made of letters", line=row.line, expected=letters, got=repr(row.ref)
        )
    if not alternate or set(alternate) - set(letters):
        raise FileError(
            path,
            "the alternate allele is not made of letters (symbolic alleles are not scored)",
            line=row.line,
            expected=letters,
            got=repr(alternate),
        )
    if alternate == reference:
        raise FileError(path, "the alternate allele equals the reference", line=row.line, got=alternate)
    return Variant(row.chrom, position - 1, row.name, reference, alternate, row.line)
