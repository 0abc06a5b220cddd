"""Variants from VCF (text, gzip, bgzip), BCF and tab-separated files, one alternate each.

Text is read here, not by htslib, which knows no line numbers: a refusal has
to name the line. BCF goes through cyvcf2, and its records are counted.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fastism_compiler.genomics.errors import FileError, Refusals
from fastism_compiler.genomics.extras import missing_extra
from fastism_compiler.genomics.text import check_file, first_bytes, read_lines

_HEADER = ("#CHROM", "POS", "ID", "REF", "ALT")
_TSV = ("chrom", "pos", "ref", "alt")
_BCF = (b"BCF", b"\x1f\x8b")


@dataclass(frozen=True, slots=True)
class Variant:
    """One alternate allele.

    Attributes:
        chrom: chromosome.
        position: 0-based position of the first reference base.
        name: the ID, or `.`.
        ref: reference allele, in upper case.
        alt: alternate allele, in upper case.
        line: where it stands (a line from 1, or `[record]` of a BCF file).
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


def read_variants(path: str | os.PathLike[str], letters: str, refuse: Refusals) -> Iterator[Variant]:
    """The variants of a VCF, BCF or tab-separated file; lines with several alternates are split.

    A tab-separated file (any name that does not end in .vcf, .vcf.gz, .vcf.bgz
    or .bcf) has a header with the columns chrom, pos, ref, alt and, if wanted,
    id; or none, and those four columns first. Positions count from 1, as in VCF.

    Args:
        path: the file.
        letters: of the alphabet; alleles are made of them.
        refuse: called with each alternate that is no substitution, insertion or deletion.

    Raises:
        FileError: a file that cannot be read or holds no variant; and, unless
            variants may be skipped, a line that is none.
        OptionError: a BCF file, and cyvcf2 is not installed.
    """
    path = check_file(path)
    name = path.name.lower()
    if name.endswith(".bcf"):
        rows = _bcf_rows(path)
    elif name.endswith((".vcf", ".vcf.gz", ".vcf.bgz")):
        rows = _vcf_rows(path)
    else:
        rows = _tsv_rows(path)
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


def _vcf_rows(path: Path) -> Iterator[_Row | FileError]:
    header = False
    for number, line in read_lines(path):
        if number == 1 and not line.startswith("##fileformat=VCF"):
            raise FileError(path, "not a VCF file", line=1, expected="##fileformat=VCF...", got=line[:40])
        if line.startswith("##") or not line.strip():
            continue
        columns = line.split("\t")
        if line.startswith("#"):
            header = tuple(columns[:5]) == _HEADER
            if not header:
                raise FileError(path, "not the header of a VCF file", line=number, expected=_HEADER, got=line[:60])
            continue
        if not header:
            raise FileError(path, "a VCF file has a header before its variants", line=number, expected="#CHROM ...")
        if len(columns) < 5:
            yield FileError(
                path,
                "a variant has at least five columns, between tabs",
                line=number,
                got=f"{len(columns)}: {line[:60]!r}",
            )
            continue
        yield _Row(columns[0], columns[1], columns[2] or ".", columns[3], columns[4], number)


def _tsv_rows(path: Path) -> Iterator[_Row | FileError]:
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


def _bcf_rows(path: Path) -> Iterator[_Row | FileError]:
    try:
        import cyvcf2  # an extra, not always installed
    except ImportError as error:
        raise missing_extra("reading BCF", "cyvcf2", "genomics") from error
    if not first_bytes(path, 3).startswith(_BCF):
        raise FileError(path, "not a BCF file")
    try:
        for number, record in enumerate(cyvcf2.VCF(str(path))):
            alternates = ",".join(record.ALT) or "."
            yield _Row(record.CHROM, str(record.POS), record.ID or ".", record.REF, alternates, f"[{number}]")
    except FileError:
        raise
    except Exception as error:
        raise FileError(path, "the BCF file cannot be read", got=error) from error


def _variant(path: Path, row: _Row, alternate: str, letters: str) -> Variant:
    reference = row.ref.strip().upper()
    if not row.chrom:
        raise FileError(path, "a variant names its chromosome", line=row.line)
    if not row.pos.isascii() or not row.pos.isdigit():
        raise FileError(path, "a position is a whole number", line=row.line, got=repr(row.pos))
    if int(row.pos) < 1:
        raise FileError(path, "positions count from 1", line=row.line, got=row.pos)
    if not reference or set(reference) - set(letters):
        raise FileError(
            path, "the reference allele is made of letters", line=row.line, expected=letters, got=repr(row.ref)
        )
    if not alternate or set(alternate) - set(letters):
        raise FileError(
            path,
            "the alternate allele is made of letters (no symbolic alleles)",
            line=row.line,
            expected=letters,
            got=repr(alternate),
        )
    if alternate == reference:
        raise FileError(path, "the alternate allele differs from the reference", line=row.line, got=alternate)
    return Variant(row.chrom, int(row.pos) - 1, row.name, reference, alternate, row.line)
