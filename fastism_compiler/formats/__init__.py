"""Formats: what other programs read, written from a complete store."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastism_compiler.arguments import flag, or_none, several, text
from fastism_compiler.arguments import path as path_argument
from fastism_compiler.formats.annotated import write_annotated
from fastism_compiler.formats.apart import write_apart
from fastism_compiler.formats.bigwig import bigwig_size, check_bigwig, write_bedgraph, write_bigwig
from fastism_compiler.formats.hdf5 import check_hdf5, hdf5_size, write_hdf5
from fastism_compiler.formats.modisco import FILES, check_modisco, write_modisco
from fastism_compiler.formats.packed import ENDINGS, index_of, load_pysam, pack, remove_indexes, write_index
from fastism_compiler.formats.quantiles import digest_of, peak_counts
from fastism_compiler.formats.source import Source
from fastism_compiler.formats.tsv import write_tsv
from fastism_compiler.formats.vcf import write_vcf
from fastism_compiler.genomics.sources import Source as InputFile
from fastism_compiler.genomics.sources import opened
from fastism_compiler.host.files import check_room, partial_of, put_in_place, sha256, sync_tree
from fastism_compiler.ir.errors import OptionError
from fastism_compiler.runs.errors import RunError, StoreError
from fastism_compiler.runs.manifest import is_theirs, manifest_path, read_manifest, write_manifest
from fastism_compiler.runs.store import META


@dataclass(frozen=True, slots=True)
class Format:
    """How a store is written.

    Attributes:
        write: `(store, path, track)` writes a new file, or a folder with `files`; the track is an output, with an
            index where it has axes.
        check: `(store, path)` reads it back, and raises OSError if it is not whole; None: `write` has checked it.
        size: `(store, track)`: least number of bytes that the file takes; None: not known in advance.
        files: names of the files, where the result is a folder.
        apart: whether the library may crash, so that a child process writes.
        single: whether it holds one number per cell, so that every number of every output needs its own file.
        text: whether it is text, which is bgzipped if the output's name ends with `.gz`.
    """

    write: Callable[[Source, Path, str | None], None]
    check: Callable[[Source, Path], None] | None = None
    size: Callable[[Source, str | None], int] | None = None
    files: tuple[str, ...] = ()
    apart: bool = False
    single: bool = False
    text: bool = False


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "bedgraph": Format(write_bedgraph, single=True, text=True),
        "bigwig": Format(write_bigwig, check_bigwig, bigwig_size, apart=True, single=True),
        "hdf5": Format(write_hdf5, check_hdf5, hdf5_size, apart=True),
        "modisco": Format(write_modisco, check_modisco, files=FILES, single=True),
        "tsv": Format(write_tsv, text=True),
        "vcf": Format(write_vcf, text=True),
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

_SHA256, _BEFORE = "sha256", "sha256_before"
"""In a manifest: digests of the files; until they are in place, also of those of an earlier conversion."""


def convert(
    store: str | os.PathLike[str],
    output: str | os.PathLike[str],
    to: str,
    track: str | None = None,
    *,
    overwrite: bool = False,
    annotate: str | os.PathLike[str] | None = None,
    peaks: str | os.PathLike[str] | None = None,
) -> None:
    """Write a complete store in another format, and a manifest beside it.

    The result appears whole, or not at all: it is written under a hidden name
    beside `output`, brought to the disk, read back and renamed.

    Args:
        store: of a scan, or of variants.
        output: the file (modisco: the folder) to write; one that matches the manifest beside it is replaced.
        to: `hdf5` (as basenji_sat_bed), `modisco`, `bigwig` or `bedgraph` (importance per
            position), `tsv`, or, for variants, `vcf`. Text is bgzipped if `output` ends with `.gz`.
        track: which output (`head`, or `head:3` where it has axes); formats that hold
            one number per cell need one where the store has several.
        overwrite: also replace what no conversion has written, or what was changed since.
        annotate: for `vcf`: the VCF that the variants came from. Its lines are written, with the scores as INFO fields
            added (see `write_annotated`); if it has a tabix index, the output gets one as well.
        peaks: for `tsv` of variants scored with `score="profile"`: the scan of a set of peaks, or variant-scorer's
            table of them; columns of quantiles among their predicted counts are added (see `formats/quantiles.py`).

    Raises:
        OptionError: an unknown format or track, a format that cannot hold this store, or
            an output that exists and is not as the manifest beside it says.
        StoreError: no store, one that is not complete, or a damaged one.
        FileError: `annotate` lacks a variant of the store, or cannot be read.
        RunError: the output cannot be written.
    """
    form, path = _form(to), path_argument("output", output)
    overwrite, track = flag("overwrite", overwrite), or_none(text)("track", track)
    source = Source(path_argument("store", store))
    check_target(path, to, overwrite=overwrite)
    if peaks is not None:
        if to != "tsv" or annotate is not None:
            raise OptionError("peaks= adds columns to a table", expected="to='tsv', without annotate=", got=repr(to))
        counts = peak_counts(path_argument("peaks", peaks), source.attributes["model"])
        form = replace(form, write=partial(write_tsv, peaks=counts))
        _convert(form, to, source, path, track, {"peaks": {"name": Path(peaks).name, **digest_of(counts)}})
        return
    if annotate is None:
        _convert(form, to, source, path, track)
        return
    if to != "vcf":
        raise OptionError("annotate= writes VCF", expected="to='vcf'", got=repr(to))
    with opened(annotate if isinstance(annotate, InputFile) else path_argument("annotate", annotate)) as table:
        _convert(replace(form, write=partial(write_annotated, table)), to, source, path, track)
        index = index_of(table.path)
    if index is not None and path.suffix in ENDINGS:
        write_index(path, index.suffix)


def _convert(
    form: Format, to: str, source: Source, path: Path, track: str | None, also: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Write the output, and the manifest beside it, which also holds `also`."""
    with _told(path), partial_of(path) as scratch:
        _write(form, to, source, scratch, track)
        if form.text and path.suffix in ENDINGS:
            pack(scratch)
        sync_tree(scratch)
        kept = ("format", "version", "settings", "model", "input", "versions", "counts")
        content = {key: source.attributes[key] for key in kept}
        content |= {"store": source.path.name, "to": to, "track": track, **also}
        content[_SHA256] = {name: sha256(scratch / name) for name in form.files} or {path.name: sha256(scratch)}
        before = {p.name: sha256(p) for p in _targets(path, to) if _is_as_written(path, p)}
        # The manifest comes first: if the process is killed in between, the next run still recognises an older file
        # as its own, by its digest.
        write_manifest(path, {**content, _BEFORE: before} if before else content)
        if form.text and path.suffix in ENDINGS:
            remove_indexes(path)
        put_in_place(scratch, path)
        if before:
            with suppress(OSError):  # the one that is there names the new files too
                write_manifest(path, content)


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


def check_wanted(kind: str, to: Sequence[tuple[str, str | os.PathLike[str]]]) -> None:
    """Refuse, before anything is computed, formats that could not be written afterwards.

    Args:
        kind: of the store that will be there, one of those in `HELD`.
        to: format and path of each.

    Raises:
        OptionError: an unknown format, one that does not hold this kind of store, or one that would replace what no
            conversion has written.
    """
    for name, path in several(_format_and_path)("to", to):
        _form(name)
        if name not in HELD[kind]:
            known = f"one of {', '.join(HELD[kind])} for {kind}"
            raise OptionError("the format does not hold this", expected=known, got=name)
        check_target(path, name)


def _format_and_path(name: str, value: Any) -> tuple[str, Path]:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise OptionError(f"{name}= lists pairs", expected="(format, path) for each", got=repr(value)[:80])
    return text(name, value[0]), path_argument(name, value[1])


def _form(to: Any) -> Format:
    if not isinstance(to, str) or to not in FORMATS:
        raise OptionError("no such format", expected=f"one of {sorted(FORMATS)}", got=repr(to))
    return FORMATS[to]


def check_target(path: Path, to: str, *, overwrite: bool = False) -> None:
    """Refuse to replace what no conversion has written, or somebody has changed since: a model, a table with notes.

    Args:
        path: the output.
        to: its format.
        overwrite: replace it all the same.

    Raises:
        OptionError: a store, a file for a folder, or a folder for a file; without `overwrite`, a file of the output
            that exists and is not as the manifest beside it says, or another file that has the
            name of the manifest.
    """
    files = FORMATS[to].files
    if FORMATS[to].text and path.suffix in ENDINGS:
        load_pysam()  # refused before anything is computed, if it is not there
    if (path / META).exists():
        raise OptionError("the output is a store", expected="a path of its own", got=str(path))
    if path.is_dir() and not files:
        raise OptionError("the output is a file, not a folder", got=f"the folder {path}")
    if path.is_file() and files:
        raise OptionError("the output is a folder, not a file", got=f"the file {path}")
    if overwrite:
        return
    theirs = [p for p in _targets(path, to) if p.exists() and not _is_as_written(path, p)]
    if is_theirs(path):
        theirs.append(manifest_path(path))
    if theirs:
        raise OptionError(
            "only what a conversion has written is replaced, and only if nobody has changed it since",
            expected="a new path, a file that is as its manifest says, or convert --overwrite (overwrite=True)",
            got=str(theirs[0]),
        )


def _targets(path: Path, to: str) -> list[Path]:
    """The files that a format writes."""
    return [path / name for name in FORMATS[to].files] or [path]


def _is_as_written(output: Path, file: Path) -> bool:
    """Whether a file of an output exists, and is what a conversion has written there."""
    try:
        recorded = read_manifest(output)
        return sha256(file) in (recorded.get(key, {}).get(file.name) for key in (_SHA256, _BEFORE))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, StoreError):
        return False


__all__ = ["FORMATS", "HELD", "LETTERS", "RANGES", "VARIANTS", "Format", "Source", "check_wanted", "convert"]
