"""Each source is read once: pipes, FIFOs and standard input give all their records, and files must stay as they are."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fastism_compiler.genomics.alphabet import find_alphabet
from fastism_compiler.genomics.arrays import read_arrays
from fastism_compiler.genomics.bed import read_bed
from fastism_compiler.genomics.encoding import Encoding
from fastism_compiler.genomics.errors import FileError, Refusals
from fastism_compiler.genomics.fasta import read_fasta
from fastism_compiler.genomics.genome import Genome
from fastism_compiler.genomics.sources import Source
from fastism_compiler.genomics.text import read_lines
from fastism_compiler.genomics.vcf import read_variants
from tests.runs.models import save, small_model, write_fasta

DNA = find_alphabet("dna")
COUNT = 5000
"""More than a pipe holds, so that the writer waits for the reader."""


@pytest.fixture
def fifo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    path, copies = tmp_path / "pipe", tmp_path / "copies"
    copies.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(copies))  # of this test alone
    os.mkfifo(path)
    yield path
    assert not list(copies.glob("*/pipe*")), "the copy is gone"


def feed(path: Path, content: bytes) -> None:
    """Write into a FIFO once, as a program would."""
    threading.Thread(target=path.write_bytes, args=(content,), daemon=True).start()


def _tsv() -> bytes:
    return "".join(f"chr1\t{i + 1}\tA\tC\n" for i in range(COUNT)).encode()


def _vcf() -> bytes:
    lines = ["##fileformat=VCFv4.2", "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"]
    return "\n".join([*lines, *(f"chr1\t{i + 1}\t.\tA\tC\t.\t.\t." for i in range(COUNT)), ""]).encode()


@pytest.mark.parametrize("content", [_tsv(), _vcf(), gzip.compress(_vcf())], ids=["tsv", "vcf", "vcf.gz"])
def test_every_variant_of_a_pipe_is_read(fifo: Path, content: bytes) -> None:
    feed(fifo, content)
    assert [v.position for v in read_variants(fifo, "ACGT", Refusals())] == list(range(COUNT))


def test_every_region_and_record_of_a_pipe_is_read(fifo: Path) -> None:
    feed(fifo, "".join(f"chr1\t{i}\t{i + 3}\n" for i in range(COUNT)).encode())
    assert [r.start for r in read_bed(fifo, Refusals(skip=True))] == list(range(COUNT))
    feed(fifo, "".join(f">s{i}\nACGT\n" for i in range(COUNT)).encode())
    assert len(list(read_fasta(fifo, Encoding(DNA, 4, (0, 1, 2, 3)), Refusals()))) == COUNT


@pytest.mark.parametrize("save_as", [np.save, np.savez])
def test_arrays_come_through_a_pipe(fifo: Path, tmp_path: Path, save_as: object) -> None:
    x = np.eye(4, dtype=np.float32)[np.arange(COUNT * 4).reshape(COUNT, 4) % 4]
    with (tmp_path / "x").open("wb") as file:
        save_as(file, x)  # type: ignore[operator]
    feed(fifo, (tmp_path / "x").read_bytes())
    assert len(list(read_arrays(fifo, Encoding(DNA, 4, (0, 1, 2, 3)), Refusals(), "x", {}))) == COUNT


@pytest.mark.parametrize("packed", [False, True])
def test_a_genome_comes_through_a_pipe(fifo: Path, tmp_path: Path, packed: bool) -> None:
    plain = write_fasta(tmp_path / "g.fa", {"chr1": "ACGT" * 40_000})
    content = plain.read_bytes()
    if packed:
        bgzf = pytest.importorskip("Bio.bgzf", reason="biopython comes with the genomics extra")
        with bgzf.BgzfWriter(str(tmp_path / "g.fa.gz")) as writer:
            writer.write(content.decode())
        content = (tmp_path / "g.fa.gz").read_bytes()
    feed(fifo, content)
    with Genome(fifo) as genome:
        assert genome.lengths == {"chr1": 160_000}
        assert genome.fetch("chr1", 159_996, 160_001) == "ACGTN"
    assert not list(tmp_path.glob("pipe*.fai")), "its index goes with the copy"


@pytest.mark.parametrize("how", ["<(cat v.tsv)", "/dev/stdin"])
def test_the_command_scores_all_of_a_pipe(how: str, tmp_path: Path) -> None:
    model = save(small_model(30), tmp_path)
    write_fasta(tmp_path / "g.fa", {"chr1": "A" * 700})
    (tmp_path / "v.tsv").write_text("".join(f"chr1\t{100 + i % 500}\tA\t{'CGT'[i % 3]}\n" for i in range(1500)))
    before = "cat v.tsv |" if how == "/dev/stdin" else ""
    command = f"{before} {sys.executable} -m fastism_compiler variants {model} g.fa {how} out --no-verify"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "variants: 1500" in done.stdout
    manifest = (tmp_path / "out.manifest.json").read_text()
    with Source(tmp_path / "v.tsv") as source, source.read():
        pass
    assert str(source.digest) in manifest, "the manifest says what was read"


def test_what_is_no_file_and_no_pipe_is_refused(tmp_path: Path) -> None:
    for path, got in ((tmp_path, "a folder"), (Path("/dev/zero"), "a device"), (Path("/dev/null"), "a device")):
        with pytest.raises(FileError, match=rf"a file is needed[\s\S]*{got}"):
            Source(path)
    for name in ("missing", "a\0b", "x" * 5000):
        with pytest.raises(FileError, match=r"does not exist|cannot be read"):
            Source(tmp_path / name)


def test_an_empty_pipe_is_refused(fifo: Path) -> None:
    feed(fifo, b"")
    with pytest.raises(FileError, match="the file is empty"):
        Source(fifo)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.tsv"
    path.write_bytes(_tsv())
    lines = read_lines(path)
    next(lines)
    with path.open("ab") as file:
        file.write(b"chr1\t1\tA\tC\n")
    with pytest.raises(FileError, match="changed while it was read"):
        list(lines)


def test_a_second_pass_reads_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "in.tsv"
    path.write_bytes(_tsv())
    with Source(path) as source:
        first = list(read_lines(source))
        assert list(read_lines(source)) == first
        status = path.stat()
        path.write_bytes(_tsv().replace(b"A", b"G"))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # by its status, the same file
        with pytest.raises(FileError, match="changed while it was read"):
            list(read_lines(source))


def test_a_genome_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write_fasta(tmp_path / "g.fa", {"chr1": "ACGT" * 10})
    with pytest.raises(FileError, match="changed while it was read"), Genome(path) as genome:
        genome.fetch("chr1", 0, 4)
        write_fasta(path, {"chr1": "TTTT" * 10 + "A"})


def _bgzip(folder: Path, text: str) -> bytes:
    bgzf = pytest.importorskip("Bio.bgzf", reason="biopython comes with the genomics extra")
    with bgzf.BgzfWriter(str(folder / "x.gz")) as writer:
        for begin in range(0, len(text), 500):
            writer.write(text[begin : begin + 500])
            writer.flush()
    return (folder / "x.gz").read_bytes()


@pytest.mark.parametrize(("name", "text"), [("v.vcf.gz", _vcf()), ("r.bed.gz", b"chr1\t1\t2\n"), ("s.fa.gz", b">a\nA")])
def test_a_bgzip_file_without_its_last_block_is_cut_short(name: str, text: bytes, tmp_path: Path) -> None:
    whole = _bgzip(tmp_path, text.decode())
    path = tmp_path / name
    path.write_bytes(whole)
    assert [line for _, line in read_lines(path)] == text.decode().splitlines()
    for cut in (whole[:-28], whole[:-1], whole[: len(whole) // 2]):
        path.write_bytes(cut)
        with pytest.raises(FileError, match="cut short"):
            list(read_lines(path))
