"""FASTA records, streamed, with line numbers in every refusal."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from fastism_compiler.errors import InputError
from fastism_compiler.genomics.alphabet import UNKNOWN, Codes
from fastism_compiler.genomics.encoding import Encoding
from fastism_compiler.genomics.errors import FileError, Refusals
from fastism_compiler.genomics.fields import check_name
from fastism_compiler.genomics.records import Record, centred
from fastism_compiler.genomics.text import read_lines


@dataclass(slots=True)
class _Entry:
    """A record while its lines arrive."""

    name: str
    line: int
    pieces: list[Codes] = field(default_factory=list)
    error: FileError | None = None


def read_fasta(
    path: str | os.PathLike[str], encoding: Encoding, refuse: Refusals, *, pad: bool = False
) -> Iterator[Record]:
    """The records of a FASTA file (plain, gzip or bgzip) as model inputs.

    Args:
        path: the file.
        encoding: the model's letters and length.
        refuse: called with each record that cannot be scored.
        pad: centre shorter records, with unknown letters on both sides.

    Raises:
        FileError: a file that is no FASTA, or holds no record; and, unless
            records may be skipped, one with an unknown letter, a wrong
            length or a name that was used before.
    """
    names: set[str] = set()
    for entry in _entries(path, encoding, refuse):
        error = entry.error or _misfit(path, entry, encoding, names, pad)
        names.add(entry.name)
        if error is not None:
            refuse(error)
            continue
        codes = np.concatenate(entry.pieces)
        yield Record(entry.name, centred(codes, encoding.length, UNKNOWN))


def _entries(path: str | os.PathLike[str], encoding: Encoding, refuse: Refusals) -> Iterator[_Entry]:
    entry: _Entry | None = None
    for number, line in read_lines(path):
        if line.startswith(">"):
            if entry is not None:
                yield entry
            entry = _begun(path, number, line)
        elif not line.strip() or line.startswith(";"):
            continue
        elif entry is None:
            raise FileError(path, "not a FASTA file", line=number, expected="a line that begins with >", got=line[:40])
        elif entry.error is None:
            try:
                entry.pieces.append(encoding.alphabet.codes(line.strip(), f"record {entry.name}"))
            except InputError as error:
                entry.error = FileError(path, error.rule, line=number, expected=error.expected, got=error.got)
    if entry is None:
        raise FileError(path, "the file holds no record", expected="a line that begins with >")
    yield entry


def _begun(path: str | os.PathLike[str], number: int, line: str) -> _Entry:
    """The record that a header begins: its name ends at the first space or tab."""
    words = re.split("[ \t]+", line[1:].strip(" \t"), maxsplit=1)
    entry = _Entry(words[0], number)
    if not words[0]:
        entry.error = FileError(path, "a record has no name", line=number, expected=">name", got=repr(line))
    try:
        check_name(path, number, words[0])
    except FileError as error:
        entry.error = error
    return entry


def _misfit(
    path: str | os.PathLike[str], entry: _Entry, encoding: Encoding, names: set[str], pad: bool
) -> FileError | None:
    """Why a record cannot be scored."""
    length = sum(map(len, entry.pieces))
    if entry.name in names:
        return FileError(path, "a name is used twice", line=entry.line, got=entry.name)
    if length == 0:
        return FileError(path, "a record has no sequence", line=entry.line, got=entry.name)
    if length > encoding.length or (length < encoding.length and not pad):
        advice = "" if length > encoding.length else " (or pad it)"
        return FileError(
            path,
            f"a record is not as long as the model's input{advice}",
            line=entry.line,
            expected=encoding.length,
            got=f"{entry.name}: {length}",
        )
    unknown = length < encoding.length or any((piece == UNKNOWN).any() for piece in entry.pieces)
    if unknown and not encoding.takes_unknown:
        return FileError(
            path,
            "an unknown letter, and the model reads tokens without one for it",
            line=entry.line,
            expected="unknown_token",
            got=entry.name,
        )
    return None
