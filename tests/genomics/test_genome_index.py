"""Indexes of genomes: made where there is none, refused where they were made for another file, kept where they fit."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pyfaidx
import pytest
from Bio import bgzf

from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.genome import Genome
from tests.runs.models import write_fasta

GENOME = {"chr1": "ACGTTGCAAC" * 20, "chr2": "TTGCA" * 20}


def read_only(_: Path) -> Any:
    """In place of `whole_file`."""
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize(
    "index",
    [
        "garbage\n",
        "chr1\t200\t6\tseventy\t71\n",
        "chr1\t150\t6\t70\t71\n",  # shorter than it is
        "chr1\t2000\t6\t70\t71\n",  # longer than the file
        "chr1\t200\t9\t70\t71\n",  # begins elsewhere
        "chr9\t200\t6\t70\t71\n",  # another name
        "chr\t200\t6\t70\t71\n",  # part of the name
        "",
    ],
)
def test_an_index_of_another_genome_is_refused_and_kept(index: str, tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "genome.fa", GENOME)
    fai = tmp_path / "genome.fa.fai"
    fai.write_text(index)
    os.utime(path, (1, 1))  # an older index is made again
    with pytest.raises(FileError, match="not an index of this genome"):
        Genome(path)
    assert fai.read_text() == index
    fai.unlink()
    with Genome(path) as genome:
        assert genome.fetch("chr1", 40, 60) == GENOME["chr1"][40:60]
    with Genome(path) as genome:
        assert genome.lengths == {name: len(text) for name, text in GENOME.items()}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [False, True], ids=["cut", "whole"])
@pytest.mark.parametrize(
    "lines", [(">a x", "ACGT", "AC"), ("> a", "ACGT", "ACGT"), (">a", "ACGTACGT"), (f">a {'x' * 70_000}", "ACGT")]
)
def test_indexes_of_every_layout_of_lines(lines: tuple[str, ...], end: str, last: bool, tmp_path: Path) -> None:
    text = end.join([*lines, ">b", "ACGT", "ACGT"]) + end * last
    (tmp_path / "g.fa").write_bytes(text.encode())
    for _ in range(2):
        with Genome(tmp_path / "g.fa") as genome:
            assert genome.fetch("b", 2, 8) == "GTACGT"
            assert genome.fetch("a", 0, 4) == "ACGT"


def test_a_stale_index_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_fasta(tmp_path / "genome.fa", GENOME)
    fai = tmp_path / "genome.fa.fai"
    fai.write_text("old\n")
    os.utime(fai, (1, 1))
    monkeypatch.setattr("fastism_compiler.genomics.genome.whole_file", read_only)
    with Genome(path) as genome:
        assert genome.fetch("chr1", 40, 60) == GENOME["chr1"][40:60]
    assert fai.read_text() == "old\n"


def test_an_index_of_a_genome_that_cannot_be_read_by_region_is_refused(tmp_path: Path) -> None:
    """Made by pyfaidx itself."""
    path = tmp_path / "g.fa"
    for text in (">a\nAC\nACGT\n", ">a\nAC\nACGTACGT\n>bxyzzzzz\nAC\n"):
        path.write_text(text)
        pyfaidx.Faidx(str(path), rebuild=True)
        with pytest.raises(FileError, match="not an index of this genome"):
            Genome(path)
        (tmp_path / "g.fa.fai").unlink()


_TEXT = "".join(f">{name}\n{'ACGTTGCA' * 8}\n{'GGCA' * 5}\n" for name in "abc")


def _write_packed(path: Path, text: str, piece: int) -> None:
    """A bgzip file with a block for every so many letters."""
    with bgzf.BgzfWriter(str(path)) as file:
        for start in range(0, len(text), piece):
            file.write(text[start : start + piece])
            file.flush()


@pytest.mark.parametrize("piece", [7, 100, 1000])
def test_an_index_of_another_bgzip_genome_is_refused(piece: int, tmp_path: Path) -> None:
    path, other = tmp_path / "g.fa.gz", tmp_path / "other.fa.gz"
    _write_packed(path, _TEXT, piece)
    _write_packed(other, _TEXT.replace("GGCA\n", "GGCATT\n").replace(">b", ">bb"), piece)
    with Genome(path) as genome:
        wanted = genome.fetch("c", 50, 84)
    with Genome(path) as again:
        assert again.fetch("c", 50, 84) == wanted == _TEXT.split(">c")[1].replace("\n", "")[50:84]
    with Genome(other):
        pass
    (tmp_path / "other.fa.gz.fai").replace(tmp_path / "g.fa.gz.fai")
    with pytest.raises(FileError, match=r"g.fa.gz.fai: not an index of this genome"):
        Genome(path)


@pytest.mark.parametrize("place", [0, 3, 8, 40, 48, 200, 201])
def test_a_damaged_index_of_blocks_is_refused(place: int, tmp_path: Path) -> None:
    """One bit of it gives the letters of another block."""
    path, blocks = tmp_path / "g.fa.gz", tmp_path / "g.fa.gz.gzi"
    _write_packed(path, _TEXT, 16)
    Genome(path).close()
    damaged = bytearray(blocks.read_bytes())
    damaged[place] ^= 2
    blocks.write_bytes(damaged)
    with pytest.raises(FileError, match="not an index of this genome"):
        Genome(path)
    blocks.write_bytes(b"")
    with pytest.raises(FileError, match="not an index of this genome"):
        Genome(path)


def test_a_bgzip_genome_in_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "g.fa.gz"
    _write_packed(path, _TEXT, 50)
    monkeypatch.setattr("fastism_compiler.genomics.genome.whole_file", read_only)
    with Genome(path) as genome:
        assert genome.fetch("b", 60, 70) == "TGCAGGCAGG"
    assert [p.name for p in tmp_path.iterdir()] == ["g.fa.gz"]


@pytest.mark.parametrize(
    "entry", ["c\t51\t99999\t32\t33", "c\t51\t0\t32\t33", f"c\t51\t{10**30}\t32\t33", "c\t-5\t113\t32\t33"]
)
def test_an_index_that_leads_nowhere_is_refused(entry: str, tmp_path: Path) -> None:
    path = tmp_path / "g.fa.gz"
    _write_packed(path, _TEXT, 50)
    Genome(path).close()
    index = tmp_path / "g.fa.gz.fai"
    index.write_text("".join(index.read_text().splitlines(keepends=True)[:2]) + entry + "\n")
    with pytest.raises(FileError, match="not an index of this genome"):
        Genome(path)


def test_a_damaged_block_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.fa.gz"
    _write_packed(path, _TEXT, 50)
    Genome(path).close()
    damaged = bytearray(path.read_bytes())
    damaged[20] ^= 255
    path.write_bytes(damaged)
    for name in ("g.fa.gz.fai", "g.fa.gz.gzi"):
        os.utime(tmp_path / name)
    with pytest.raises(FileError, match="damaged"):
        Genome(path)


def test_an_old_index_of_blocks_takes_that_of_chromosomes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "g.fa.gz"
    _write_packed(path, _TEXT, 50)
    with Genome(path) as genome:
        wanted = genome.fetch("c", 10, 30)
    index = tmp_path / "g.fa.gz.fai"
    right = index.read_text()
    index.write_text(right.replace("\t181\t", "\t170\t"))
    assert index.read_text() != right
    os.utime(tmp_path / "g.fa.gz.gzi", (1, 1))
    with Genome(path) as genome:
        assert genome.fetch("c", 10, 30) == wanted
    assert index.read_text() == right


def test_a_disk_that_is_full_leaves_the_index_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "g.fa.gz"
    _write_packed(path, _TEXT, 50)
    Genome(path).close()
    (tmp_path / "g.fa.gz.gzi").unlink()
    before = (tmp_path / "g.fa.gz.fai").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyfaidx.Faidx.write_gzi", full)
    with pytest.raises(FileError, match="cannot be indexed"):
        Genome(path)
    assert {p.name for p in tmp_path.iterdir()} == {"g.fa.gz", "g.fa.gz.fai"}
    assert (tmp_path / "g.fa.gz.fai").read_bytes() == before


def test_a_bgzip_genome_is_named_as_one(tmp_path: Path) -> None:
    _write_packed(tmp_path / "g.fa", _TEXT, 50)
    with pytest.raises(FileError, match=r"ends with \.gz"):
        Genome(tmp_path / "g.fa")
