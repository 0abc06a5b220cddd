"""Formats: what other programs read, written from a complete store."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from fastism_compiler.formats.bigwig import write_bedgraph, write_bigwig
from fastism_compiler.formats.hdf5 import write_hdf5
from fastism_compiler.formats.modisco import write_modisco
from fastism_compiler.formats.source import Source
from fastism_compiler.formats.tsv import write_tsv
from fastism_compiler.formats.vcf import write_vcf
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.manifest import manifest_path, write_manifest
from fastism_compiler.runs.run import writing

Writer = Callable[[Source, Path, str | None], None]
"""`(store, path, track)`; the track is an output, with an index where it has axes."""

FORMATS: Mapping[str, Writer] = MappingProxyType(
    {
        "bedgraph": write_bedgraph,
        "bigwig": write_bigwig,
        "hdf5": write_hdf5,
        "modisco": write_modisco,
        "tsv": write_tsv,
        "vcf": write_vcf,
    }
)

LETTERS, RANGES, VARIANTS = "a scan of letters", "a scan of ranges", "variants"
HELD: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        LETTERS: ("bedgraph", "bigwig", "hdf5", "modisco", "tsv"),
        RANGES: ("tsv",),
        VARIANTS: ("tsv", "vcf"),
    }
)
"""The formats that hold each kind of store."""


def convert(store: str | os.PathLike[str], output: str | os.PathLike[str], to: str, track: str | None = None) -> None:
    """Write a complete store in another format, and a manifest beside it.

    Args:
        store: of a scan, or of variants.
        output: the file (modisco: the folder) to write; an older one, known by its manifest, is replaced.
        to: `hdf5` (as basenji_sat_bed), `modisco`, `bigwig` or `bedgraph` (importance per
            position), `tsv`, or, for variants, `vcf`.
        track: which output (`head`, or `head:3` where it has axes); formats that hold
            one number per cell need one where the store has several.

    Raises:
        OptionError: an unknown format or track, a format that cannot hold this store, or
            an output that exists and has no manifest beside it.
        StoreError: a store that is none, or is not complete.
        RunError: the output cannot be written.
    """
    if to not in FORMATS:
        raise OptionError("no such format", expected=f"one of {sorted(FORMATS)}", got=repr(to))
    source, path = Source(Path(store)), Path(output)
    check_target(path)
    with writing(path):
        FORMATS[to](source, path, track)
        kept = ("format", "version", "settings", "model", "input", "versions", "counts")
        content = {key: source.attributes[key] for key in kept}
        write_manifest(path, {**content, "store": source.path.name, "to": to, "track": track})


def check_target(path: Path) -> None:
    """Refuse to replace what no conversion has written: a model, say, or the variants that were scored.

    Raises:
        OptionError: `path` is a file, and there is no manifest beside it.
    """
    if path.is_file() and not manifest_path(path).exists():
        raise OptionError(
            "only what a conversion has written is replaced",
            expected="a new path, or one with its manifest beside it",
            got=str(path),
        )


__all__ = ["FORMATS", "HELD", "LETTERS", "RANGES", "VARIANTS", "check_target", "convert"]
