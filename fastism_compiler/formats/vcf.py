"""Scored VCF: the variants of a store, sorted, with their scores as INFO fields."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from fastism_compiler._version import __version__
from fastism_compiler.formats.source import Source, replacing
from fastism_compiler.ir.errors import OptionError

_REPLACE = re.compile(r"[^A-Za-z0-9_.]")


def write_vcf(source: Source, path: Path, track: str | None) -> None:
    """VCF 4.2, one alternate per line.

    Each output is an INFO field `FASTISM_<output>` with all its numbers (in
    C order), its reference `FASTISM_REF_<output>`. A score that is no number
    is `.`. Fields of the file the variants came from are not repeated:
    `bcftools annotate` joins both.

    Raises:
        OptionError: a scan, or a track (all outputs are written).
    """
    if source.is_scan:
        raise OptionError("VCF holds variants", expected="a store of variants", got="a scan")
    if track is not None:
        raise OptionError("VCF holds all outputs", expected="no track", got=track)
    columns = [np.asarray(source.group[name][:]) for name in ("chrom", "position", "id", "ref", "alt", "kind")]
    order = {chrom: i for i, chrom in enumerate(source.chromosomes())}
    chroms = np.array([order[str(c)] for c in columns[0]])
    values = {
        f"FASTISM_{prefix}{_REPLACE.sub('_', name)}": source.group[f"{folder}/{name}"][:].reshape(source.rows, -1)
        for name in source.outputs
        for prefix, folder in (("", "scores"), ("REF_", "reference"))
    }
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.write(_header(source, {key: v.shape[1] for key, v in values.items()}))
        for row in np.lexsort((columns[1], chroms)):
            chrom, position, name, ref, alt, kind = (c[row] for c in columns)
            info = [f"FASTISM_KIND={kind}", *(f"{key}={','.join(map(_number, v[row]))}" for key, v in values.items())]
            file.write("\t".join([chrom, str(position + 1), name, ref, alt, ".", ".", ";".join(info)]) + "\n")


def _header(source: Source, fields: dict[str, int]) -> str:
    lines = ["##fileformat=VCFv4.2", f"##source=fastism-compiler {__version__}"]
    lines += [f"##contig=<ID={chrom},length={length}>" for chrom, length in source.chromosomes().items()]
    lines.append('##INFO=<ID=FASTISM_KIND,Number=1,Type=String,Description="substitution, insertion or deletion">')
    score = source.attributes["score"]
    for key, count in fields.items():
        what = "model output for the reference" if key.startswith("FASTISM_REF_") else f"{score} of the alternate"
        lines.append(f'##INFO=<ID={key},Number={count},Type=Float,Description="{what}">')
    return "\n".join([*lines, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]) + "\n"


def _number(value: float) -> str:
    return "." if np.isnan(value) else str(np.float32(value))
