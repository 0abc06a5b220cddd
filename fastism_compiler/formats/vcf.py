"""Scored VCF: the variants of a store, sorted, with their scores as INFO fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fastism_compiler._version import __version__
from fastism_compiler.formats.info import InfoField, info_fields, merged
from fastism_compiler.formats.source import Array, Source
from fastism_compiler.host.files import write_text
from fastism_compiler.ir.errors import OptionError


def write_vcf(source: Source, path: Path, track: str | None) -> None:
    """VCF 4.2, one alternate per line.

    The scores are INFO fields (see `info_fields`). Fields of the file the
    variants came from are not repeated: `bcftools annotate` joins both.

    Raises:
        OptionError: a scan, or a track (all outputs are written).
    """
    check_variants(source, track)
    rows, fields = slice(0, source.rows), info_fields(source)
    ranks = {chrom: i for i, chrom in enumerate(source.chromosomes())}
    chroms = np.array([ranks[str(c)] for c in source.read("chrom", rows)])
    order = np.lexsort((source.read("position", rows), chroms))

    def text() -> Iterator[str]:
        yield _header(source, fields)
        for columns, info in _records(source, fields, order):
            written = ";".join(f"{key}={value}" for key, value in info.items())
            yield "\t".join([*columns, ".", ".", written]) + "\n"

    write_text(path, text())


def check_variants(source: Source, track: str | None) -> None:
    """Refuse what VCF does not hold.

    Raises:
        OptionError: a scan, or a track (all outputs are written).
    """
    if source.is_scan:
        raise OptionError("VCF holds variants", expected="a store of variants", got="a scan")
    if track is not None:
        raise OptionError("VCF holds all outputs", expected="no track", got=track)


def _header(source: Source, fields: Sequence[InfoField]) -> str:
    lines = ["##fileformat=VCFv4.2", f"##source=fastism-compiler {__version__}"]
    lines += [f"##contig=<ID={chrom},length={length}>" for chrom, length in source.chromosomes().items()]
    lines += [field.header(str(field.size or ".")) for field in fields]
    return "\n".join([*lines, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]) + "\n"


def _records(source: Source, fields: Sequence[InfoField], order: Array) -> Iterator[tuple[list[str], dict[str, str]]]:
    """The first columns of each line, and its INFO; rows of one variant in several genes are one line."""
    rows = slice(0, source.rows)
    columns = [source.read(name, rows) for name in ("chrom", "position", "id", "ref", "alt")]
    records = source.read("record", rows) if "record" in source.group else np.arange(source.rows)
    entries = {field.key: field.read(rows) for field in fields}

    def values(row: int) -> dict[str, str]:
        return {field.key: field.text(entries[field.key][row]) for field in fields}

    starts = np.flatnonzero(np.r_[True, np.diff(records[order]) != 0]) if len(order) else order
    for several in np.split(order, starts[1:]):
        chrom, position, name, ref, alt = (c[several[0]] for c in columns)
        info = values(several[0])
        for row in several[1:]:
            info = merged(fields, info, values(row))
        yield [str(chrom), str(position + 1), str(name), str(ref), str(alt)], info
