"""The user's own VCF with scores added: every record in its place, with all it had."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cyvcf2
import numpy as np
import pysam
import pytest
import zarr
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from tests.runs.models import genome, save, small_model, write_fasta

NO_SCORES = ["*", "<NON_REF>", "<DEL>", "N[10:500[", "."]
HEADER = """##fileformat=VCFv4.3
##FILTER=<ID=q10,Description="Quality below 10">
##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">
##INFO=<ID=DB,Number=0,Type=Flag,Description="Known">
##INFO=<ID=FASTISM_head,Number=A,Type=Float,Description="of an earlier run">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##contig=<ID=chr1,length=1000>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2
"""


@dataclass
class Annotated:
    """A VCF, and the store of its variants."""

    folder: Path
    model: str
    fasta: Path
    text: str
    records: list[list[str]]
    table: Path
    store: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Annotated:
    folder = tmp_path_factory.mktemp("annotated")
    chromosomes = genome(np.random.default_rng(3), {"chr1": 1000})
    letters = chromosomes["chr1"]
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}

    def record(pos: int, alt: str, info: str = "DB;DP=3", name: str = ".") -> list[str]:
        return ["chr1", str(pos), name, letters[pos - 1], alt, "31.0", "q10", info, "GT", "0|1", "./."]

    at = lambda pos: letters[pos - 1]  # noqa: E731 (one letter)
    records = [
        record(300, other[at(300)], name="rs1"),
        record(310, f"{other[at(310)].lower()},*,{other[other[at(310)]]}"),
        *(record(320 + i, alt) for i, alt in enumerate(NO_SCORES)),
        record(340, at(340)),  # the reference itself
        record(350, at(350) + "GATTACA", info="."),
        record(360, other[at(360)], info="FASTISM_head=9;DP=7"),
        record(360, other[at(360)]),
        record(999, other[at(999)], info="DP=2;FASTISM_head=5"),  # its window ends beyond the chromosome
        ["ctg7", "400", ".", at(400), other[at(400)], ".", ".", "."],  # the genome has no such sequence
        ["chr2", "400", ".", at(400), other[at(400)], ".", ".", "."],  # the same letters at the same position
        ["chr2", "0410", ".", at(410), other[at(410)], ".", ".", "."],
    ]
    text = HEADER + "".join("\t".join(r) + "\n" for r in records)
    table = folder / "mine.vcf"
    table.write_text(text)
    model, fasta = save(small_model(), folder), write_fasta(folder / "genome.fa", {"chr1": letters, "chr2": letters})
    settings, alone = fc.VariantSettings(skip=True, outputs=("chance",)), fc.Execution(verify=False)
    further = [("vcf", folder / "annotated.vcf")]
    fc.scan_variants(model, fasta, table, folder / "x.zarr", settings=settings, execution=alone, to=further)
    return Annotated(folder, model, fasta, text, records, table, folder / "x.zarr")


def parted(path: Path) -> tuple[list[str], list[list[str]]]:
    lines = path.read_text().splitlines()
    return [x for x in lines if x.startswith("#")], [x.split("\t") for x in lines if not x.startswith("#")]


def test_every_record_is_in_its_place_with_all_it_had(made: Annotated) -> None:
    header, records = parted(made.folder / "annotated.vcf")
    added = [line for line in header if "FASTISM_" in line]
    assert [line for line in header if line not in added] == [x for x in HEADER.splitlines() if "FASTISM_" not in x]
    assert [line.split(",")[:2] for line in added] == [
        ["##INFO=<ID=FASTISM_KIND", "Number=A"],
        ["##INFO=<ID=FASTISM_chance", "Number=A"],
        ["##INFO=<ID=FASTISM_REF_chance", "Number=A"],
    ]
    assert len(records) == len(made.records)
    for found, given in zip(records, made.records, strict=True):
        assert found[:7] + found[8:] == given[:7] + given[8:]
        kept = [part for part in given[7].split(";") if not part.startswith("FASTISM_") and part != "."]
        assert [part for part in found[7].split(";") if not part.startswith("FASTISM_") and part != "."] == kept
        assert "FASTISM_head" not in found[7], "scores of an earlier run"


def test_each_allele_has_its_score_and_the_others_a_dot(made: Annotated) -> None:
    store = zarr.open_group(str(made.store), mode="r")
    scores = iter(np.asarray(store["scores/chance"][:]).reshape(-1).tolist())
    for record in cyvcf2.VCF(str(made.folder / "annotated.vcf")):
        text = str(record).rstrip("\n").split("\t")[7]
        values = dict(part.split("=") for part in text.split(";") if "=" in part).get("FASTISM_chance")
        if record.CHROM == "ctg7" or record.POS in {320 + i for i in range(len(NO_SCORES))} | {340, 999}:
            assert values is None
            continue
        alleles = values.split(",") if values else []
        assert len(alleles) == len(record.ALT)
        for alternate, value in zip(record.ALT, alleles, strict=True):
            if alternate == "*":
                assert value == "."
            else:
                assert float(value) == pytest.approx(next(scores), abs=1e-6)
    assert next(scores, None) is None


def test_a_bgzipped_and_indexed_file_stays_one(made: Annotated, tmp_path: Path) -> None:
    packed = tmp_path / "mine.vcf.gz"
    (tmp_path / "mine.vcf").write_text(made.text.replace("\t0410\t", "\t410\t"))  # tabix knows no leading zero
    pysam.tabix_compress(str(tmp_path / "mine.vcf"), str(packed))
    pysam.tabix_index(str(packed), preset="vcf")
    common = ["--skip", "--no-verify", "--outputs", "chance", "--to", "vcf"]
    arguments = ["variants", made.model, str(made.fasta), str(packed), str(tmp_path / "y.zarr"), *common]
    run = CliRunner().invoke(main, arguments)
    assert run.exit_code == 0, run.output
    with pysam.TabixFile(str(tmp_path / "y.vcf.gz")) as file:
        (record,) = file.fetch("chr1", 349, 350)
    assert "FASTISM_KIND=insertion;" in record
    text = pysam.BGZFile(str(tmp_path / "y.vcf.gz"), "r").read().decode()
    assert text == (made.folder / "annotated.vcf").read_text().replace("\t0410\t", "\t410\t")
    again = CliRunner().invoke(main, arguments)
    assert again.exit_code == 0, again.output
    assert (tmp_path / "y.vcf.gz.tbi").is_file()
    fc.convert(made.store, tmp_path / "y.vcf.gz", "vcf", annotate=made.table)
    assert not (tmp_path / "y.vcf.gz.tbi").exists(), "the index of another file"


def test_convert_takes_the_file_later(made: Annotated, tmp_path: Path) -> None:
    arguments = ["convert", str(made.store), str(tmp_path / "z.vcf"), "--to", "vcf", "--annotate", str(made.table)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert (tmp_path / "z.vcf").read_text() == (made.folder / "annotated.vcf").read_text()


@pytest.mark.parametrize(
    ("change", "to", "rule"),
    [
        (lambda text: text.replace("\t360\t", "\t361\t"), "vcf", "lacks a variant of the store"),
        (lambda text: HEADER, "vcf", "lacks a variant of the store"),
        (lambda text: "chrom\tpos\tref\talt\nchr1\t4\tA\tC\n", "vcf", "annotate= names a VCF"),
        (lambda text: text, "tsv", "annotate= writes VCF"),
    ],
)
def test_another_file_is_refused_and_nothing_is_written(
    made: Annotated, tmp_path: Path, change: object, to: str, rule: str
) -> None:
    (tmp_path / "other.txt").write_text(change(made.text))  # type: ignore[operator]
    with pytest.raises(fc.FastISMError, match=rule):
        fc.convert(made.store, tmp_path / "z.vcf", to, annotate=tmp_path / "other.txt")
    assert [p.name for p in tmp_path.iterdir()] == ["other.txt"]


def test_an_index_of_an_unsorted_file_is_an_error_that_says_so(made: Annotated, tmp_path: Path) -> None:
    header, *records = made.text.split("\nchr1")
    packed = tmp_path / "mine.vcf.gz"
    (tmp_path / "mine.vcf").write_text("\nchr1".join([header, *reversed([r.rstrip("\n") for r in records])]) + "\n")
    pysam.tabix_compress(str(tmp_path / "mine.vcf"), str(packed))
    (tmp_path / "mine.vcf.gz.tbi").write_bytes(b"of another file")
    settings, alone = fc.VariantSettings(skip=True, outputs=("chance",)), fc.Execution(verify=False)
    fc.scan_variants(made.model, made.fasta, packed, tmp_path / "x.zarr", settings=settings, execution=alone)
    with pytest.raises(fc.FastISMError, match="its index is not"):
        fc.convert(tmp_path / "x.zarr", tmp_path / "z.vcf.gz", "vcf", annotate=packed)
    assert not list(tmp_path.glob("*.partial"))
