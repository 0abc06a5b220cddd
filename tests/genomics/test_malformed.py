"""Every kind of malformed input, through the command line: its message, exit code 2, no traceback."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from Bio import bgzf
from click.testing import CliRunner

import fastism_compiler as fc
from fastism_compiler.cli import main
from fastism_compiler.genomics.bed import read_bed
from fastism_compiler.genomics.errors import Refusals
from tests.runs.models import save, small_model, write_fasta

L = 30
SEQ = "ACGTTGCAAC" * 3
GENOME = {"chr1": "ACGTTGCAAC" * 20, "chr2": "TTGCA" * 20}
VCF = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
REF = GENOME["chr1"][49]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save(small_model(L), tmp_path_factory.mktemp("model"))


@dataclass(frozen=True)
class Case:
    """A file, how it is used, and what must be said about it."""

    name: str
    content: bytes | str | Callable[[Path], None]
    messages: tuple[str, ...]
    options: tuple[str, ...] = ()


def _npz(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


def _truncated_gzip(path: Path) -> None:
    data = gzip.compress("".join(f">a{i}\n{SEQ}\n" for i in range(2000)).encode())
    path.write_bytes(data[: len(data) // 2])


def _damaged_gzip(path: Path) -> None:
    data = bytearray(gzip.compress(os.urandom(5000).hex().encode()))
    data[2000:2010] = b"\xff" * 10
    path.write_bytes(bytes(data))


def _npy(shape: str) -> bytes:
    """An npy file with a header that numpy would not write."""
    head = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(960)


X = np.eye(4)[np.arange(2 * L) % 4].reshape(2, L, 4)


def _changed(where: Any, value: float) -> np.ndarray[Any, Any]:
    x = X.copy()
    x[where] = value
    return x


FILES = [
    Case("in.fa", f">a\n{SEQ[:9]}J{SEQ[10:]}\n", ("in.fa:2", "not a letter of dna", "'J' at position 10 of record a")),
    Case("in.fa", f">a\n{SEQ}\n>b\n{SEQ[:20]}\n{SEQ[20:29]}-\n", ("in.fa:5", "at position 10", "'-'")),
    Case("in.fa", "", ("the file is empty",)),
    Case("in.fa", "\n\n", ("holds no record",)),
    Case("in.fa", SEQ, ("in.fa:1", "not a FASTA file")),
    Case("in.fa", f">a\n{SEQ}\n>a\n{SEQ}\n", ("in.fa:3", "a name is used twice")),
    Case("in.fa", f">a\n{SEQ}A\n", ("in.fa:1", "not as long as the model's input", "expected: 30", "a: 31")),
    Case("in.fa", f">a\n{SEQ[1:]}\n", ("in.fa:1", "(or pad it)", "a: 29")),
    Case("in.fa", f">a\n{SEQ}A\n", ("in.fa:1", "not as long as"), ("--pad",)),
    Case("in.fa", ">a\n>b\n" + SEQ, ("in.fa:1", "a record has no sequence")),
    Case("in.fa", f">\n{SEQ}\n", ("in.fa:1", "a record has no name")),
    Case("in.fa", f">a\n{SEQ}\n".encode("utf-16"), ("in.fa:1", "UTF-16")),
    Case("in.fa", b">a\n" + bytes(range(1, 10)) + b"\x00\xff", ("in.fa:2", "binary data")),
    Case("in.fa", b">a\nAC\xe4GT", ("in.fa:2", "UTF-8")),
    Case("in.fa.gz", _truncated_gzip, ("in.fa.gz", "the gzip file is cut short")),
    Case("in.fa.gz", _damaged_gzip, ("in.fa.gz", "damaged")),
    Case("in.fa", f">a\n{'U' * L}\n", ("not a letter of dna",)),
    Case("in.fa", f">a\n{SEQ[:20]}\n", ("nothing is left to score", "in.fa:1"), ("--skip",)),
    Case("in.vcf", VCF, ("a scan takes sequences or regions", "variants")),
    Case("in.fa", lambda path: path.mkdir(), ("a file is needed", "a folder")),
    Case("in.fa", lambda path: None, ("the file does not exist",)),
    Case("in.fa", f">a\n{SEQ}\n", ("a window fits the model's input",), ("--window", "31")),
    Case("in.fa", f">a\n{SEQ}\n", ("no such output", "head"), ("--outputs", "tail")),
    Case("in.fa", f">a\n{SEQ}\n", ("must fit the output", "within 3"), ("--outputs", "head:3")),
    Case("in.fa", f">a\n{SEQ}\n", ("an output index is",), ("--outputs", "head:x")),
    Case("in.fa", f">a\n{SEQ}\n", ("ranges are written start-end",), ("--ranges", "3:7")),
    Case("in.fa", f">a\n{SEQ}\n", ("range",), ("--ranges", "20-40")),
    Case("in.fa", f">a\n{SEQ}\n", ("range",), ("--ranges", "7-3")),
    Case("in.fa", f">a\n{SEQ}\n", ("not both",), ("--ranges", "3-7", "--window", "5")),
    Case("in.fa", f">a\n{SEQ}\n", ("one channel per letter", "20 for protein"), ("--alphabet", "protein")),
    Case("in.fa", f">a\n{SEQ}\n", ("seq_input",), ("--seq-input", "dna")),
    Case("in.fa", f">a\n{SEQ}\n", ("I/N",), ("--shard", "one")),
    Case("in.fa", f">a\n{SEQ}\n", ("a shard is i/n",), ("--shard", "3/2")),
    Case("in.bed", "chr1\t50\t60\n", ("regions lie on a genome",)),
    Case("in.npz", _npz(), ("the npz file holds no arrays",)),
    Case("in.npz", _npz(a=X, b=X), ("no array is called like the sequence input", "'sequence'")),
    Case("in.npz", _npz(x=X.astype(str)), ("does not hold numbers",)),
    Case("in.npy", lambda path: np.save(path, np.array([{}], object)), ("not a readable npy or npz file",)),
    Case("in.npz", _npz(x=X.swapaxes(1, 2)), ("wrong shape", "[sequences, 30, 4]", "[2, 4, 30]")),
    Case("in.npz", _npz(x=X[0]), ("wrong shape", "[30, 4]")),
    Case("in.npz", _npz(x=X[:0]), ("holds no sequence",)),
    Case("in.npz", _npz(x=_changed((1, 3, 0), np.nan)), ("in.npz[1]", "NaN or infinity")),
    Case("in.npz", _npz(x=_changed((1, 3), 1)), ("in.npz[1, 3]", "one letter", "[1.0, 1.0, 1.0, 1.0]")),
    Case("in.npz", _npz(x=_changed((0, 2), 0.25)), ("in.npz[0, 2]", "one-hot")),
    Case("in.npz", b"PK\x03\x04garbage", ("not a readable npy or npz file",)),
    Case("in.npy", b"\x93NUMPY\x01\x00", ("not a readable npy or npz file",)),
    Case("in.npy", _npy("(-2, 30, 4)"), ("not a readable npy or npz file", "a shape of (-2, 30, 4)")),
    Case("in.npy", _npy("(999999999999, 30, 4)"), ("not a readable npy or npz file", "are needed for")),
    Case("in.npy", _npy("(2, 30, " + "[" * 900 + "4)"), ("not a readable npy or npz file",)),
    Case("in.npy", _npy(f"({'9' * 5000}, 30, 4)"), ("not a readable npy or npz file",)),
    Case("in.fa", f">a\x1b[31mred\n{SEQ}\n", ("in.fa:1", "a name holds a control character", "'\\x1b'")),
    Case("in.fa", f">a\rb\n{SEQ}\n", ("in.fa:1", "a name holds a control character", "'\\r'")),
    Case("in.fa", f">a\n{SEQ}\n", ("ranges are written start-end",), ("--ranges", f"1-{'9' * 5000}")),
    Case("in.fa", f">a\n{SEQ}\n", ("ranges are written start-end",), ("--ranges", "1-\u00b2")),
    Case("in.fa", f">a\n{SEQ}\n", ("no such output",), ("--outputs", "\u00b2")),
    Case("in.fa", f">a\n{SEQ}\n", ("an output index is",), ("--outputs", "head:\u00b2")),
    Case("in.fa", f">a\n{SEQ}\n", ("an output index is",), ("--outputs", f"head:{'9' * 5000}")),
    Case("in.fa", f">a\n{SEQ}\n", ("seq_input must name",), ("--seq-input", "\u00b2")),
    Case("in.fa", f">a\n{SEQ}\n", ("seq_input must name",), ("--seq-input", "9" * 5000)),
    Case("in.fa", f">a\n{SEQ}\n", ("I/N",), ("--shard", "\u00b2/3")),
    Case("in.fa", f">a\n{SEQ}\n", ("numbers between commas",), ("--channels", "0,1,2,\u00b2")),
    Case("in.fa", f">a\n{SEQ}\n", ("a length is a positive whole number",), ("--length", "0")),
    Case("in.fa", f">a\n{SEQ}\n", ("a length is a positive whole number",), ("--length", "-5")),
    Case("in.fa", f">a\n{SEQ}\n", ("does not fit", "2000000000"), ("--length", "2000000000")),
    Case("in.fa", f">a\n{SEQ}\n", ("for models that leave it open", "expected: 30, or none"), ("--length", "31")),
    Case("in.fa", f">a\n{SEQ}\n", ("a finite number", "nan"), ("--pseudocount", "nan")),
]

REGIONS = [
    Case("in.bed", "chr1\tten\t60\n", ("in.bed:1", "not a whole number", "'ten'")),
    Case("in.bed", "chr1\t10.5\t60\n", ("in.bed:1", "not a whole number")),
    Case("in.bed", "chr1\t1_0\t60\n", ("in.bed:1", "not a whole number", "'1_0'")),
    Case("in.bed", "chr1\t50\t60\nchr1\t60\t60\n", ("in.bed:2", "ends where it starts")),
    Case("in.bed", f"chr1\t5\t{'6' * 5000}\n", ("in.bed:1", "not a whole number", "characters)")),
    Case("in.bed", "chr1\t\u00b2\t60\n", ("in.bed:1", "not a whole number")),
    Case("in.bed", "chr1\t50\t60\ta\x1b[2J\n", ("in.bed:1", "a name holds a control character")),
    Case("in.bed", "chr1\t-5\t60\n", ("in.bed:1", "starts before 0")),
    Case("in.bed", "#c\nchr9\t50\t60\n", ("in.bed:2", "no such chromosome", "such as chr1", "chr9")),
    Case("in.bed", "chr2\t90\t101\n", ("in.bed:1", "beyond the end of its chromosome", "end <= 100")),
    Case("in.bed", "chr1\t0\t10\n", ("in.bed:1", "reaches over the end of the chromosome")),
    Case("in.bed", "chr1\t50\t60\ta\t0\tx\n", ("in.bed:1", "no such strand", "'x'")),
    Case("in.bed", "chr1\t50\n", ("in.bed:1", "fewer than three columns")),
    Case("in.bed", "chr1 50 60\n", ("in.bed:1", "between tabs", "spaces")),
    Case("in.bed", "\t50\t60\n", ("in.bed:1", "names no chromosome")),
    Case("in.bed", "track name=x\n\n# nothing\n", ("holds no region",)),
    Case("in.npz", _npz(x=X), ("arrays lie on no genome",)),
]

VARIANTS = [
    Case("in.vcf", f"chr1\t50\t.\t{REF}\tG\n", ("in.vcf:1", "not a VCF file")),
    Case("in.vcf", f"##fileformat=VCFv4.2\nchr1\t50\t.\t{REF}\tG\n", ("in.vcf:2", "without a header")),
    Case("in.vcf", "##fileformat=VCFv4.2\n#CHROM POS ID REF ALT\n", ("in.vcf:2", "not the header")),
    Case("in.vcf", VCF, ("holds no variant",)),
    Case(
        "in.vcf", VCF + "chr1\t50\t.\tG\tC\n", ("in.vcf:3", "not what the genome says", "C at chr1:50", "got:      G")
    ),
    Case("in.vcf", VCF + f"chr1\t50\t.\t{REF}\t*\n", ("in.vcf:3", "symbolic alleles", "'*'")),
    Case("in.vcf", VCF + f"chr1\t50\t.\t{REF}\t<DEL>\n", ("in.vcf:3", "symbolic alleles", "<DEL>")),
    Case(
        "in.vcf",
        VCF + f"chr1\t50\t.\t{REF}\tG,{REF}[chr2:5[\n",
        ("in.vcf:3", "alternate allele is not made of letters"),
    ),
    Case("in.vcf", VCF + f"chr1\t50\t.\t{REF}\tR\n", ("in.vcf:3", "alternate allele is not made of letters")),
    Case("in.vcf", VCF + "chr1\t50\t.\tN\tG\n", ("in.vcf:3", "reference allele is not made of letters")),
    Case("in.vcf", VCF + f"chr1\t50\t.\t{REF}\t{REF}\n", ("in.vcf:3", "equals the reference")),
    Case("in.vcf", VCF + f"chr1\t0\t.\t{REF}\tG\n", ("in.vcf:3", "count from 1")),
    Case("in.vcf", VCF + f"chr1\tx\t.\t{REF}\tG\n", ("in.vcf:3", "a position is not a whole number")),
    Case("in.vcf", VCF + f"chr1\t{'5' * 5000}\t.\t{REF}\tG\n", ("in.vcf:3", "whole number", "characters)")),
    Case("in.vcf", VCF + f"chr1\t\u00b2\t.\t{REF}\tG\n", ("in.vcf:3", "a position is not a whole number")),
    Case("in.vcf", VCF + f"chr1\t50.9\t.\t{REF}\tG\n", ("in.vcf:3", "a position is not a whole number")),
    Case("in.vcf", VCF + f"chr1\t50\trs\r1\t{REF}\tG\n", ("in.vcf:3", "a name holds a control character")),
    Case("in.vcf", VCF + f"chr1\t201\t.\t{REF}\tG\n", ("in.vcf:3", "beyond the end of its chromosome")),
    Case("in.vcf", VCF + f"chrM\t50\t.\t{REF}\tG\n", ("in.vcf:3", "no such chromosome", "chrM")),
    Case("in.vcf", VCF + f"1\t50\t.\t{REF}\tG\n", ("in.vcf:3", "no such chromosome", "chr1; aliases='auto'")),
    Case("in.vcf", VCF + f"chr1\t5\t.\t{GENOME['chr1'][4]}\tG\n", ("in.vcf:3", "reaches over the end")),
    Case("in.vcf", VCF + f"chr1\t50\t.\t{REF}\t{'G' * 16}\n", ("in.vcf:3", "longer than what the model sees")),
    Case("in.vcf", VCF + f"chr1 50 . {REF} G\n", ("in.vcf:3", "at least five columns")),
    Case("in.bcf", b"BCF\x02\x02nonsense", ("in.bcf", "the BCF file cannot be read")),
    Case("in.bcf", b"no BCF at all", ("not a BCF file",)),
    Case("in.tsv", f"chrom\tpos\tref\nchr1\t50\t{REF}\n", ("in.tsv:1", "a column is missing", "no alt")),
    Case("in.tsv", f"chr1\t50\t{REF}\n", ("in.tsv:1", "at least four columns")),
    Case("in.tsv", f"chr1 50 {REF} G\n", ("in.tsv:1", "between tabs")),
    Case("in.vcf", "", ("the file is empty",)),
]


def run(case: Case, tmp_path: Path, command: list[str]) -> None:
    path = tmp_path / case.name
    if callable(case.content):
        case.content(path)
    else:
        path.write_bytes(case.content.encode() if isinstance(case.content, str) else case.content)
    result = CliRunner().invoke(main, [*command, "--no-verify", *case.options])
    for message in case.messages:
        assert message in result.output
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert isinstance(result.exception, SystemExit), "an error that nobody caught"


@pytest.mark.parametrize("case", FILES, ids=lambda c: c.messages[-1][:40])
def test_files(case: Case, model: str, tmp_path: Path) -> None:
    run(case, tmp_path, ["scan", model, str(tmp_path / case.name), str(tmp_path / "out")])


@pytest.mark.parametrize("case", REGIONS, ids=lambda c: c.messages[-1][:40])
def test_regions(case: Case, model: str, tmp_path: Path) -> None:
    genome = write_fasta(tmp_path / "genome.fa", GENOME)
    command = ["scan", model, str(tmp_path / case.name), str(tmp_path / "out"), "--genome", str(genome)]
    run(case, tmp_path, command)


@pytest.mark.parametrize("case", VARIANTS, ids=lambda c: c.messages[-1][:40])
def test_variants(case: Case, model: str, tmp_path: Path) -> None:
    genome = write_fasta(tmp_path / "genome.fa", GENOME)
    run(case, tmp_path, ["variants", model, str(genome), str(tmp_path / case.name), str(tmp_path / "out")])


GENOMES = [
    Case("genome.fa", "", ("the file is empty",)),
    Case("genome.fa", "ACGT\n", ("genome.fa:1", "not a FASTA file")),
    Case("genome.fa", f">a\n{SEQ}\n>a\n{SEQ}\n", ("genome.fa:3", "a name is used twice")),
    Case("genome.fa", ">chr1\nACGT\n\n\n>chr2\nACGT\n", ("genome.fa:4", "blank lines")),
    Case("genome.fa.gz", gzip.compress(b">a\nACGT\n"), ("expected: bgzip", "got:      gzip")),
    Case("genome.fa", lambda path: None, ("the file does not exist",)),
    Case("genome.fa", f">chr1\n{'ACGT' * 11}JJJJ\n".replace("JJJJ", "?" * 60), ("not a letter of dna", "in.bed:1")),
]


@pytest.mark.parametrize("case", GENOMES, ids=lambda c: c.messages[-1][:40])
def test_genomes(case: Case, model: str, tmp_path: Path) -> None:
    (tmp_path / "in.bed").write_text("chr1\t50\t60\n")
    genome = str(tmp_path / case.name)
    run(case, tmp_path, ["scan", model, str(tmp_path / "in.bed"), str(tmp_path / "out"), "--genome", genome])


def test_records_left_out_are_counted_by_rule(model: str, tmp_path: Path) -> None:
    """Not by record, or by position."""
    wrong = [SEQ[:at] + "J" + SEQ[at + 1 :] for at in (3, 9, 20)]
    (tmp_path / "in.fa").write_text("".join(f">r{i}\n{s}\n" for i, s in enumerate([SEQ, *wrong])))
    summary = fc.scan(
        model, tmp_path / "in.fa", tmp_path / "out", settings=fc.ScanSettings(skip=True), execution=fc.Execution()
    )
    assert len(summary.messages) == 1, summary.messages
    assert "'J' at position 4 of record r1" in summary.messages[0]
    assert [n for rule, n in summary.counts.items() if "not a letter of dna" in rule] == [3]


def test_a_bgzip_genome_cut_short_is_refused(model: str, tmp_path: Path) -> None:
    genome = tmp_path / "genome.fa.gz"
    with bgzf.BgzfWriter(str(genome)) as file:
        file.write(f">chr1\n{SEQ * 10}\n")
    data = genome.read_bytes()
    (tmp_path / "in.bed").write_text("chr1\t100\t110\n")
    command = ["scan", model, str(tmp_path / "in.bed"), str(tmp_path / "out"), "--no-verify", "--genome", str(genome)]
    genome.write_bytes(data[:-28])
    result = CliRunner().invoke(main, command)
    assert "the bgzip file is cut short" in result.output
    assert result.exit_code == 2
    genome.write_bytes(data)
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output


MODELS = [
    Case("m.keras", lambda path: None, ("does not exist",)),
    Case("m.keras", b"?", ("could not be loaded",)),
    Case("m.keras", b"PK\x03\x04", ("could not be loaded",)),
    Case("m.h5", b"\x89HDF\r\n\x1a\n", ("could not be loaded",)),
]


@pytest.mark.parametrize("case", MODELS, ids=lambda c: c.name + c.messages[-1])
def test_models(case: Case, tmp_path: Path) -> None:
    fasta = write_fasta(tmp_path / "in.fa", {"a": SEQ})
    run(case, tmp_path, ["scan", str(tmp_path / case.name), str(fasta), str(tmp_path / "out")])


def test_outputs_that_cannot_be_used(model: str, tmp_path: Path) -> None:
    fasta = str(write_fasta(tmp_path / "in.fa", {"a": SEQ}))
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "thesis.txt").write_text("mine")
    for output, message in (("file", "the output is a folder"), ("folder", "no store of this program")):
        result = CliRunner().invoke(main, ["scan", model, fasta, str(tmp_path / output), "--no-verify"])
        assert message in result.output
        assert result.exit_code == 2
    assert (tmp_path / "folder" / "thesis.txt").read_text() == "mine"
    result = CliRunner().invoke(main, ["scan", model, fasta, str(tmp_path / "file" / "out"), "--no-verify"])
    assert "the store cannot be written" in result.output
    assert result.exit_code == 1


def test_a_file_that_may_not_be_read(model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fasta, real = write_fasta(tmp_path / "in.fa", {"a": SEQ}), Path.open

    def refuse(path: Path, *args: Any, **options: Any) -> Any:
        if path == fasta:
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **options)

    monkeypatch.setattr(Path, "open", refuse)  # root, as whom tests may run, reads everything
    result = CliRunner().invoke(main, ["scan", model, str(fasta), str(tmp_path / "out"), "--no-verify"])
    assert "in.fa: the file cannot be read" in result.output
    assert "Permission denied" in result.output
    assert result.exit_code == 2


def test_what_looks_odd_and_is_fine(model: str, tmp_path: Path) -> None:
    """Windows line ends, a byte order mark, lower case, blank lines, N, comments, unsorted and split variants."""
    genome = str(write_fasta(tmp_path / "genome.fa", GENOME))
    fasta = tmp_path / "in.fa"
    fasta.write_bytes(b"\xef\xbb\xbf>a one\r\n" + SEQ.lower().encode() + b"\r\n\r\n>b\r\n" + b"N" * 30 + b"\r\n")
    bed = tmp_path / "in.bed"
    bed.write_bytes(b"track x\r\nchr1\t50\t60\r\n\r\nchr1\t50\t60\t.\t0\t-\r\nchr1\t50\t60\r\n")
    vcf = tmp_path / "in.vcf"
    vcf.write_text(
        VCF + f"chr1\t90\t.\t{GENOME['chr1'][89]}\tN\n".replace("\tN", "\tC,G,T") + f"chr1\t50\tx\t{REF.lower()}\tg\n"
    )
    for command, name, count in (
        (["scan", model, str(fasta)], "sequences", 2),
        (["scan", model, str(bed), "--genome", genome], "sequences", 3),
        (["variants", model, genome, str(vcf), "--skip"], "variants", 3),
    ):
        output = str(tmp_path / f"{command[0]}{count}")
        result = CliRunner().invoke(main, [*command, output, "--no-verify", "--json"])
        assert result.exit_code == 0, result.output
        assert f'"{name}": {count}' in result.output


def test_a_chromosome_may_begin_like_a_header(tmp_path: Path) -> None:
    path = tmp_path / "in.bed"
    path.write_text("track name=x\nbrowser position chr1\ntrack7\t5\t9\nbrowserless\t1\t2\n")
    assert [r.chrom for r in read_bed(path, Refusals(False))] == ["track7", "browserless"]
