"""Whether the index beside a genome was made for it: an index of another file gives other letters, or none.

A plain genome has `GENOME.fai`: where each chromosome begins, and how long it and its lines are. A bgzip genome has
`GENOME.gzi` too: where each compressed block begins, in the file and in the letters.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.sources import Source

_HEADER = 1 << 16
"""Bytes that are read to find a header; the name in a longer header is not checked."""
_ENDS = 5
"""Bytes that hold the ends of a chromosome's last line and of a blank line, and the next header's first."""
NO_INDEX = "not an index of this genome (or the genome is damaged); remove it, and it is made again"
_FIXED, _FIELD, _LENGTH = 12, 4, 4
"""Bytes of a gzip header in front of its extra fields, of the head of such a field, and of the unpacked length that
ends a block."""


class _Letters(Protocol):
    """The text of a genome, compressed or not."""

    def seek(self, offset: int, /) -> Any: ...

    def read(self, count: int, /) -> bytes: ...


def check_index(faidx: Any, source: Source, index: Path, blocks: Path) -> None:
    """Compare an index with the genome: where chromosomes begin and end, and where blocks begin.

    Args:
        faidx: pyfaidx's, which has read the index.
        source: the genome.
        index: the file of chromosomes.
        blocks: the file of blocks, read only if the genome is bgzip.

    Raises:
        FileError: an index of another file.
    """
    if not faidx.index:
        raise FileError(index, NO_INDEX, got="an empty file")
    with source.local.open("rb") as file:
        letters: _Letters = file
        if source.is_bgzip:
            starts = [(block.cstart, block.ustart) for block in faidx.gzi_index]
            _check_blocks(file, starts, blocks)
            letters = _Unpacked(faidx.file, starts)
        for name, entry in faidx.index.items():
            if not _fits(letters, name, entry):
                raise FileError(index, NO_INDEX, got=name)


def _check_blocks(file: BinaryIO, indexed: list[tuple[int, int]], path: Path) -> None:
    """The index names every block that holds letters, and nothing else."""
    found = list(_blocks(file))
    filled = {start for start, after in pairwise(found) if after[1] > start[1]}
    wrong = filled.symmetric_difference(indexed) - (set(found) - filled)  # empty blocks may be named or not
    if wrong:
        raise FileError(path, NO_INDEX, got="a block at byte {}, letter {}".format(*min(wrong)))


def _blocks(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Where each block of a bgzip file begins, and where its letters do, by its header and its last bytes; the end."""
    start = letter = 0
    yield start, letter
    file.seek(0)
    while size := _block_size(file):
        file.seek(start + size - _LENGTH)
        start, letter = start + size, letter + int.from_bytes(file.read(_LENGTH), "little")
        yield start, letter


def _block_size(file: BinaryIO) -> int:
    """Bytes of the block that begins here, by its header (SAM format specification, section 4.1); 0: none does."""
    header = file.read(_FIXED)
    extra = file.read(int.from_bytes(header[10:12], "little"))
    while len(extra) >= _FIELD:
        if extra[:2] == b"BC":
            return int.from_bytes(extra[4:6], "little") + 1
        extra = extra[_FIELD + int.from_bytes(extra[2:4], "little") :]
    return 0


class _Unpacked:
    """The letters of a bgzip genome by their place, as the index of blocks gives it."""

    def __init__(self, reader: Any, starts: list[tuple[int, int]]) -> None:
        self._reader, self._starts = reader, sorted(starts, key=lambda start: start[1])

    def seek(self, offset: int, /) -> None:
        """Go to a letter."""
        after = bisect_right(self._starts, offset, key=lambda start: start[1])
        start, letter = self._starts[after - 1]
        if not 0 <= offset - letter < 1 << 16:  # a block has no more letters
            raise ValueError(f"letter {offset} is in no block")
        self._reader.seek(start << 16 | offset - letter)  # a virtual offset of BGZF

    def read(self, count: int, /) -> bytes:
        """The next letters, fewer at the end."""
        return bytes(self._reader.read(count))


def _fits(letters: _Letters, name: str, entry: Any) -> bool:
    """Whether a chromosome begins and ends where an index entry says."""
    begin = max(entry.offset - _HEADER, 0)
    letters.seek(begin)
    _, newline, header = letters.read(entry.offset - begin).rstrip(b"\r\n").rpartition(b"\n")
    longer = not newline and begin > 0
    named = longer or header.removeprefix(b">").split()[:1] == [name.encode()]
    lines, rest = divmod(max(entry.rlen - 1, 0), entry.lenc or 1)
    count = min(rest + 1, entry.rlen)
    letters.seek(entry.offset + lines * entry.lenb - 1)
    text = letters.read(1 + count + _ENDS)
    before, line, after = text[:1], text[1 : 1 + count], text[1 + count :]
    ended = after[:1] in (b"", b"\n", b"\r") and after.lstrip(b"\r\n")[:1] in (b"", b">")
    whole = before == b"\n" and len(line) == count and not any(end in line for end in (b"\r", b"\n", b">"))
    return named and whole and ended
