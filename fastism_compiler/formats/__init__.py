"""Formats: what other programs read, written from a complete store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from fastism_compiler.formats.apart import write_apart
from fastism_compiler.formats.bigwig import bigwig_size, check_bigwig, write_bedgraph, write_bigwig
from fastism_compiler.formats.hdf5 import check_hdf5, hdf5_size, write_hdf5
from fastism_compiler.formats.modisco import FILES, check_modisco, write_modisco
from fastism_compiler.formats.source import Source
from fastism_compiler.formats.tsv import write_tsv
from fastism_compiler.formats.vcf import write_vcf
from fastism_compiler.host.files import check_room, partial_of, put_in_place, sha256, sync_tree
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.errors import RunError
from fastism_compiler.runs.manifest import is_theirs, manifest_path, write_manifest


@dataclass(frozen=True, slots=True)
class Format:
    """How a store is written.

    Attributes:
        write: `(store, path, track)` writes a new file, or a folder with `files`; the track is an output, with an
            index where it has axes.
        check: `(store, path)` reads it back, and raises OSError where it is not whole; None: `write` does.
        size: `(store, track)`: bytes that it takes at least. None: not known before.
        files: names of the files, where the result is a folder.
        apart: whether the library may crash, so that a child process writes.
    """

    write: Callable[[Source, Path, str | None], None]
    check: Callable[[Source, Path], None] | None = None
    size: Callable[[Source, str | None], int] | None = None
    files: tuple[str, ...] = ()
    apart: bool = False


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "bedgraph": Format(write_bedgraph),
        "bigwig": Format(write_bigwig, check_bigwig, bigwig_size, apart=True),
        "hdf5": Format(write_hdf5, check_hdf5, hdf5_size, apart=True),
        "modisco": Format(write_modisco, check_modisco, files=FILES),
        "tsv": Format(write_tsv),
        "vcf": Format(write_vcf),
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


def convert(
    store: str | os.PathLike[str],
    output: str | os.PathLike[str],
    to: str,
    track: str | None = None,
    *,
    overwrite: bool = False,
) -> None:
    """Write a complete store in another format, and a manifest beside it.

    The result appears whole, or not at all: it is written under a hidden name
    beside `output`, brought to the disk, read back and renamed.

    Args:
        store: of a scan, or of variants.
        output: the file (modisco: the folder) to write; an older one, known by its manifest, is replaced.
        to: `hdf5` (as basenji_sat_bed), `modisco`, `bigwig` or `bedgraph` (importance per
            position), `tsv`, or, for variants, `vcf`.
        track: which output (`head`, or `head:3` where it has axes); formats that hold
            one number per cell need one where the store has several.
        overwrite: replace what no conversion has written, too.

    Raises:
        OptionError: an unknown format or track, a format that cannot hold this store, or
            an output that exists and has no manifest beside it.
        StoreError: a store that is none, is not complete, or is damaged.
        RunError: the output cannot be written.
    """
    if to not in FORMATS:
        raise OptionError("no such format", expected=f"one of {sorted(FORMATS)}", got=repr(to))
    form, source, path = FORMATS[to], Source(Path(store)), Path(output)
    check_target(path, to, overwrite=overwrite)
    with _told(path), partial_of(path) as partial:
        _write(form, to, source, partial, track)
        sync_tree(partial)
        kept = ("format", "version", "settings", "model", "input", "versions", "counts")
        content = {key: source.attributes[key] for key in kept}
        digests = {name: sha256(partial / name) for name in form.files} or {path.name: sha256(partial)}
        # The manifest comes first: after a kill in between, the next run knows the target for its own, and the digest
        # says that an older file there is not this one.
        write_manifest(path, {**content, "store": source.path.name, "to": to, "track": track, "sha256": digests})
        put_in_place(partial, path)


def _write(form: Format, to: str, source: Source, partial: Path, track: str | None) -> None:
    """Write a partial file, and read it back."""
    if form.size is not None:
        check_room(partial.parent, form.size(source, track))
    if form.apart:
        write_apart(to, source.path, partial, track)
        return
    form.write(source, partial, track)
    if form.check is not None:
        form.check(source, partial)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say what to do about a disk that is full or cannot be written.

    Raises:
        RunError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            "the output cannot be written; what was there before is as it was",
            expected=f"room and permission to write {path}",
            got=error.strerror or error,
        ) from error


def check_target(path: Path, to: str, *, overwrite: bool = False) -> None:
    """Refuse to replace what no conversion has written: a model, say, or the variants that were scored.

    Args:
        path: the output.
        to: its format.
        overwrite: replace it all the same.

    Raises:
        OptionError: a file for a folder, or a folder for a file; without `overwrite`, a file of the output that
            exists without a manifest beside it, or a file that is called like the manifest and is none.
    """
    files = FORMATS[to].files
    if path.is_dir() and not files:
        raise OptionError("the output is a file", got=f"the folder {path}")
    if path.is_file() and files:
        raise OptionError("the output is a folder", got=f"the file {path}")
    if overwrite:
        return
    manifest = manifest_path(path)
    there = [p for p in ([path / name for name in files] or [path]) if p.exists() and not manifest.exists()]
    if is_theirs(path):
        there.append(manifest)
    if there:
        raise OptionError(
            "only what a conversion has written is replaced",
            expected="a new path, one with its manifest beside it, or --overwrite (overwrite=True)",
            got=str(there[0]),
        )


__all__ = ["FORMATS", "HELD", "LETTERS", "RANGES", "VARIANTS", "Format", "check_target", "convert"]
