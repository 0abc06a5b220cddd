"""Names of chromosomes that a file and a genome spell differently, and what else a file may have from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.genomics.aliases import aliases_of, spellings
from fastism_compiler.genomics.errors import FileError
from tests.runs.models import save, small_model, write_fasta

L = 30
GENOME = {"1": "ACGTTGCAAC" * 20, "chrM": "TTGCA" * 20, "chrX": "GATTACAGGC" * 9}
VCF = "##fileformat=VCFv4.2\n{}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(small_model(L), tmp_path_factory.mktemp("model"))


@pytest.fixture
def genome(tmp_path: Path) -> str:
    write_fasta(tmp_path / "genome.fa", GENOME)
    return str(tmp_path / "genome.fa")


def test_spellings() -> None:
    assert spellings("chr1") == ["1"]
    assert spellings("1") == ["chr1"]
    assert spellings("MT") == ["chrMT", "M", "chrM"]
    assert spellings("chrM") == ["M", "MT", "chrMT"]


def test_aliases_never_hide_a_name_of_the_genome(tmp_path: Path) -> None:
    assert aliases_of(["1", "chr1"], "auto") == {}
    assert aliases_of(["1"], None) == {}
    assert aliases_of(["chrM", "chrMT"], "auto") == {"M": "chrM", "MT": "chrMT"}
    assert aliases_of(["chrX", "X", "M"], "auto") == {"chrM": "M", "MT": "M", "chrMT": "M"}
    path = tmp_path / "names.txt"
    path.write_text("# theirs and ours\nNC_000001.11\t1\n2 NC_000002.12\nNC_000023.11 chrX\n")
    assert aliases_of(GENOME, str(path)) == {"NC_000001.11": "1", "NC_000023.11": "chrX"}
    path.write_text("one 1\none chrX\n")
    with pytest.raises(FileError, match=r"names\.txt:2: an alias of two chromosomes"):
        aliases_of(GENOME, str(path))
    path.write_text("one 1 2\n")
    with pytest.raises(FileError, match="has not two names"):
        aliases_of(GENOME, str(path))


def scan(model: str, genome: str, tmp_path: Path, bed: str, **settings: object) -> tuple[fc.Summary, Path]:
    (tmp_path / "in.bed").write_text(bed)
    out = tmp_path / f"out{len(list(tmp_path.iterdir()))}.zarr"
    chosen = fc.ScanSettings(**settings)  # type: ignore[arg-type]
    return fc.scan(model, tmp_path / "in.bed", out, genome=genome, settings=chosen), out


def test_a_scan_by_other_names_is_the_same_scan(model: str, genome: str, tmp_path: Path) -> None:
    theirs = "chr1\t50\t60\nMT\t50\t60\nX\t40\t50\n"
    ours = "1\t50\t60\nchrM\t50\t60\nchrX\t40\t50\n"
    with pytest.raises(fc.InputError, match=r"1; aliases='auto'"):
        scan(model, genome, tmp_path, theirs)
    _, one = scan(model, genome, tmp_path, theirs, aliases="auto")
    _, other = scan(model, genome, tmp_path, ours)
    view = fc.open_scan(one)
    np.testing.assert_array_equal(view["scores_head"], fc.open_scan(other)["scores_head"])
    assert [str(c) for c in np.asarray(view["chrom"])] == ["chr1", "MT", "X"]  # as the file has them


def test_a_region_beyond_its_chromosome_is_filled_up(model: str, genome: str, tmp_path: Path) -> None:
    bed = "1\t180\t260\n"
    with pytest.raises(fc.InputError, match="pad or skip"):
        scan(model, genome, tmp_path, bed)
    summary, _ = scan(model, genome, tmp_path, bed, pad=True)
    assert summary.counts["sequences"] == 1
    assert summary.counts["unknown letters"] == L  # its middle lies 20 bases behind the end


def test_a_region_that_lies_wholly_beyond_its_chromosome_is_refused(model: str, genome: str, tmp_path: Path) -> None:
    with pytest.raises(fc.InputError, match="beyond the end"):
        scan(model, genome, tmp_path, "1\t200\t260\n", pad=True)


def test_a_file_name_that_is_no_text_stands_in_the_table(model: str, genome: str, tmp_path: Path) -> None:
    bed = tmp_path / os.fsdecode(b"in\xff.bed")
    bed.write_text("1\t50\t60\n2\t50\t60\n")
    fc.scan(model, bed, tmp_path / "out.zarr", genome=genome, settings=fc.ScanSettings(skip=True))
    assert "in\\udcff.bed\t2" in (tmp_path / "out.zarr.left_out.tsv").read_text()


def test_what_is_left_out_stands_in_a_table(model: str, genome: str, tmp_path: Path) -> None:
    bed = "1\t50\t60\n2\t50\t60\n1\tten\t60\n"
    _, out = scan(model, genome, tmp_path, bed, skip=True)
    table = (out.parent / f"{out.name}.left_out.tsv").read_text().splitlines()
    assert table[0] == "file\tline\treason\tfound"
    assert [line.split("\t")[1:3] for line in table[1:]] == [
        ["2", "the genome has no such chromosome"],
        ["3", "start or end is not a whole number"],
    ]
    _, clean = scan(model, genome, tmp_path, "1\t50\t60\n", skip=True)
    assert not (clean.parent / f"{clean.name}.left_out.tsv").exists()


def test_another_assembly_is_told(model: str, genome: str, tmp_path: Path) -> None:
    reference = GENOME["1"][49]
    alternate = "A" if reference != "A" else "C"
    variants = tmp_path / "v.vcf"
    arguments = ["variants", model, genome, str(variants), str(tmp_path / "out.zarr"), "--no-verify"]
    for length, told in ((249250621, True), (200, False)):
        variants.write_text(
            VCF.format(f"##contig=<ID=1,assembly=b37,length={length}>\n")
            + f"1\t50\t.\t{reference}\t{alternate}\t.\t.\t.\n"
        )
        arguments[4] = str(tmp_path / f"out{length}.zarr")
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, result.output
        assert ("is this another assembly?" in result.output) == told


@pytest.mark.parametrize("name", ["a.txt", "scores.h5", "scan.tsv"])
def test_a_store_is_not_called_like_a_file(model: str, genome: str, tmp_path: Path, name: str) -> None:
    result = CliRunner().invoke(main, ["scan", model, genome, str(tmp_path / name)])
    assert result.exit_code == 2
    assert "OUTPUT is a zarr store" in result.output and not (tmp_path / name).exists()
