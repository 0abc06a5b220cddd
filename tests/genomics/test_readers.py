"""Alphabets, encodings, and what the readers make of well-formed files."""

from __future__ import annotations

import gc
import gzip
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastism_compiler as fc
from fastism_compiler.genomics.alphabet import ALPHABETS, UNKNOWN
from fastism_compiler.genomics.bed import read_bed
from fastism_compiler.genomics.encoding import Encoding
from fastism_compiler.genomics.errors import FileError, Refusals
from fastism_compiler.genomics.fasta import read_fasta
from fastism_compiler.genomics.genome import Genome
from fastism_compiler.genomics.vcf import read_variants
from tests.runs.models import write_fasta

DNA = ALPHABETS["dna"]


@pytest.mark.parametrize("name", ALPHABETS)
def test_letters_there_and_back(name: str) -> None:
    alphabet = ALPHABETS[name]
    text = alphabet.letters + alphabet.letters.lower() + alphabet.unknown
    x = alphabet.encode(text)
    assert x.shape == (len(text), len(alphabet.letters))
    assert (x.sum(-1) == [1] * 2 * len(alphabet.letters) + [0] * len(alphabet.unknown)).all()
    assert alphabet.decode(x) == alphabet.letters * 2 + alphabet.unknown[0] * len(alphabet.unknown)
    for letter in set("ACGTUNX-*. é") - set(alphabet.letters + alphabet.unknown):
        with pytest.raises(fc.InputError, match=r"not a letter of \w+(.|\n)*at position 3 of record r"):
            alphabet.encode(f"{alphabet.letters[:2]}{letter}", "record r")


def test_n_is_asparagine_in_proteins_and_unknown_elsewhere() -> None:
    assert ALPHABETS["protein"].encode("N").sum() == 1
    assert ALPHABETS["rna"].encode("N").sum() == 0


def test_reverse_complements() -> None:
    codes = DNA.codes("AACGTN")
    assert DNA.text(DNA.reverse_complement(codes)) == "NACGTT"
    np.testing.assert_array_equal(DNA.one_hot(DNA.reverse_complement(codes)), DNA.encode("AACGTN")[::-1, ::-1])
    assert ALPHABETS["rna"].text(ALPHABETS["rna"].reverse_complement(ALPHABETS["rna"].codes("AUGC"))) == "GCAU"
    with pytest.raises(fc.OptionError, match="only DNA and RNA"):
        ALPHABETS["protein"].reverse_complement(ALPHABETS["protein"].codes("ACD"))


@pytest.mark.parametrize("tokens", [False, True])
def test_encodings_there_and_back(tokens: bool) -> None:
    encoding = Encoding(DNA, 6, (7, 5, 4, 6) if tokens else (2, 0, 3, 1), tokens, 1 if tokens else None)
    codes = np.array([[0, 1, 2, 3, UNKNOWN, 0]], np.uint8)
    x = encoding.encode(codes)
    if tokens:
        assert x.tolist() == [[7, 5, 4, 6, 1, 7]]
    else:
        assert x[0].argmax(-1).tolist()[:4] == [2, 0, 3, 1]
    decoded, wrong = encoding.decode(x[0])
    np.testing.assert_array_equal(decoded, codes[0])
    assert not wrong.any()


@pytest.mark.parametrize("compress", [False, True])
def test_fasta(compress: bool, tmp_path: Path) -> None:
    path = tmp_path / "in.fa"
    text = b">a words\nACG\nT\n\n; a comment\n>b\nnacg"
    path.write_bytes(gzip.compress(text) if compress else text)
    records = list(read_fasta(path, Encoding(DNA, 4, (0, 1, 2, 3)), Refusals()))
    assert [(r.name, DNA.text(r.codes), r.chrom, r.start) for r in records] == [
        ("a", "ACGT", "", -1),
        ("b", "NACG", "", -1),
    ]


def read_only(_: Path) -> Any:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("kind", ["plain", "bgzip"])
def test_genomes_plain_bgzip_and_where_no_index_can_be_written(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "".join(np.random.default_rng(0).choice(list("ACGTacgtN"), 500))
    path = write_fasta(tmp_path / "genome.fa", {"one": text, "two": "ACGT"})
    if kind == "bgzip":
        from Bio import bgzf

        plain, path = path, tmp_path / "genome.fa.gz"
        with bgzf.BgzfWriter(str(path)) as file:
            file.write(plain.read_text())
    else:
        monkeypatch.setattr("fastism_compiler.genomics.genome.whole_file", read_only)
    with Genome(path) as genome:
        assert genome.lengths == {"one": 500, "two": 4}
        assert genome.fetch("one", 60, 90) == text[60:90]
        assert genome.fetch("two", -2, 6) == "NNACGTNN"
        assert genome.fetch("two", 2, 3) == "G"
        assert genome.fetch("two", 9, 11) == "NN"
        assert genome.fetch("two", -4, -1) == "NNN"
    beside = tmp_path / f"{path.name}.fai"
    assert beside.exists() == (kind == "bgzip"), "made beside the genome only where that can be written"


def test_bed_columns(tmp_path: Path) -> None:
    path = tmp_path / "in.bed"
    path.write_text("browser x\nc\t1\t2\nc\t3\t9\tpeak\nc\t3\t9\t.\t7\t-\nc\t3\t9\tn\t7\t.\textra\tmore\n")
    regions = [(r.name, r.start, r.end, r.strand, r.line) for r in read_bed(path, Refusals())]
    assert regions == [("c:1-2", 1, 2, "+", 2), ("peak", 3, 9, "+", 3), ("c:3-9", 3, 9, "-", 4), ("n", 3, 9, "+", 5)]


def test_what_is_left_out_is_counted_by_the_rule_it_broke(tmp_path: Path) -> None:
    path = tmp_path / "in.tsv"
    path.write_text("c\t1\tA\tC\nc\tx\tA\tC\nc\t2\tA\t<DEL>,G\nc\ty\tA\tC\nc\n")
    refusals = Refusals(skip=True)
    assert [(v.position, v.alt) for v in read_variants(path, "ACGT", refusals)] == [(0, "C"), (1, "G")]
    assert refusals.counts == {
        "a position is not a whole number": 2,
        "the alternate allele is not made of letters (symbolic alleles are not scored)": 1,
        "a variant has at least four columns, between tabs": 1,
    }
    assert refusals.first["a position is not a whole number"].startswith(f"{path}:2: ")


def test_file_errors_travel_between_processes() -> None:
    error = FileError("x.bed", "rule", line=3, expected=1, got=2)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.fault, copy.line) == (str(error), "rule", 3)


def test_the_table_of_records_left_out_is_closed() -> None:
    gc.collect()  # what other tests left behind
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        Refusals(skip=True)
        gc.collect()
    assert not [w for w in found if w.category is ResourceWarning]
