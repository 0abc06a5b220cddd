"""Scored VCF: the variants of a store, sorted, with their scores as INFO fields."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from fastism_compiler._version import __version__
from fastism_compiler.formats.source import Source
from fastism_compiler.host.files import write_text
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.profile_scores import COLUMNS, PROFILE, has_references

PREFIX = "FASTISM_"
KIND = f"{PREFIX}KIND"
_REPLACE = re.compile(r"[^A-Za-z0-9_.]")


def write_vcf(source: Source, path: Path, track: str | None) -> None:
    """VCF 4.2, one alternate per line.

    Each output is an INFO field `FASTISM_<output>` with all its numbers (in
    C order), its reference `FASTISM_REF_<output>`; outputs go by their numbers
    where two would have the same field. A score that is no number is `.`.
    Fields of the file the variants came from are not repeated: `bcftools
    annotate` joins both.

    Raises:
        OptionError: a scan, or a track (all outputs are written).
    """
    check_variants(source, track)
    columns = [np.asarray(source.group[name][:]) for name in ("chrom", "position", "id", "ref", "alt", "kind")]
    order = {chrom: i for i, chrom in enumerate(source.chromosomes())}
    chroms = np.array([order[str(c)] for c in columns[0]])
    fields = score_fields(source)
    values = {key: source.group[array][:].reshape(source.rows, -1) for key, array, _ in fields}

    def text() -> Iterator[str]:
        yield _header(source, [(key, values[key].shape[1], what) for key, _, what in fields])
        for row in np.lexsort((columns[1], chroms)):
            chrom, position, name, ref, alt, kind = (c[row] for c in columns)
            info = [f"{KIND}={kind}", *(f"{key}={','.join(map(number_text, v[row]))}" for key, v in values.items())]
            yield "\t".join([chrom, str(position + 1), name, ref, alt, ".", ".", ";".join(info)]) + "\n"

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


def score_fields(source: Source) -> list[tuple[str, str, str]]:
    """Of each INFO field: its key, the store's array, and what it is."""
    score, chosen = source.attributes["score"], source.attributes.get("numbers", {})
    called = {o: ", ".join(label for label, _ in source.tracks(o)) if o in chosen else o for o in source.outputs}

    def fields(names: Sequence[str]) -> list[tuple[str, str, str]]:
        pairs = list(zip(names, called.items(), strict=True))
        scores = [(f"{PREFIX}{n}", f"scores/{o}", _what(score, what)) for n, (o, what) in pairs]
        if not has_references(source.attributes):
            return scores
        return scores + [
            (f"{PREFIX}REF_{n}", f"reference/{o}", f"{what}: model output, reference") for n, (o, what) in pairs
        ]

    found = fields([_REPLACE.sub("_", name) for name in source.outputs])
    keys = {key for key, _, _ in found} | {KIND}
    return found if len(keys) == len(found) + 1 else fields([str(i) for i in range(len(source.outputs))])


def _what(score: str, output: str) -> str:
    return COLUMNS[output] if score == PROFILE else f"{output}: {score} of the alternate"


def _header(source: Source, fields: Sequence[tuple[str, int, str]]) -> str:
    lines = ["##fileformat=VCFv4.2", f"##source=fastism-compiler {__version__}"]
    lines += [f"##contig=<ID={chrom},length={length}>" for chrom, length in source.chromosomes().items()]
    lines += info_header([(key, str(count), what) for key, count, what in fields], kinds="1")
    return "\n".join([*lines, "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]) + "\n"


def info_header(fields: Sequence[tuple[str, str, str]], kinds: str = "A") -> list[str]:
    """The header lines of INFO fields `(key, Number, description)`, and of the kind of a variant."""
    what = "substitution, insertion or deletion"
    lines = [f'##INFO=<ID={KIND},Number={kinds},Type=String,Description="{what}">']
    return lines + [f'##INFO=<ID={key},Number={n},Type=Float,Description="{what}">' for key, n, what in fields]


def number_text(value: float) -> str:
    """A number of an INFO field; `.` for NaN."""
    return "." if np.isnan(value) else str(np.float32(value))
