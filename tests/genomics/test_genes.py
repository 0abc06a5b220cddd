"""Files of genes: which lie over a position, where their exons end, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.genes import Genes

HEADER = "#NAME\tCHROM\tSTRAND\tTX_START\tTX_END\tEXON_START\tEXON_END\n"
TABLE = HEADER + "A\t1\t+\t10\t100\t10,50,\t20,100,\nB\t1\t-\t90\t95\t90\t95\nC\tchr2\t+\t0\t9\t0\t9\n"
BED = "1\t10\t100\tA\t0\t+\t10\t100\t0\t2\t10,50,\t0,40,\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "genes.txt"
    path.write_text(text)
    return path


def test_table(tmp_path: Path) -> None:
    genes = Genes(write(tmp_path, TABLE))
    assert [[g.name for g in genes.at("chr1", p)] for p in (9, 10, 89, 90, 94, 95, 99, 100)] == [
        [], ["A"], ["A"], ["A", "B"], ["A", "B"], ["A"], ["A"], [],
    ]  # fmt: skip
    assert [g.name for g in genes.at("2", 3)] == ["C"] and genes.at("3", 3) == []
    (first,) = genes.at("1", 30)
    assert first.boundaries == (10, 19, 50, 99)
    assert [first.to_boundary(p) for p in (10, 15, 34, 35, 99)] == [0, 4, -15, 15, 0]


def test_bed_says_the_same(tmp_path: Path) -> None:
    (gene,) = Genes(write(tmp_path, BED)).at("1", 30)
    assert (gene.name, gene.strand, gene.start, gene.end) == ("A", "+", 10, 100)
    assert gene.boundaries == (10, 19, 50, 99)


def test_many_genes_against_a_loop(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    spans = [(int(s), int(s + n)) for s, n in zip(rng.integers(0, 900, 60), rng.integers(1, 200, 60), strict=True)]
    text = HEADER + "".join(f"g{i}\t1\t+\t{s}\t{e}\t{s}\t{e}\n" for i, (s, e) in enumerate(spans))
    genes = Genes(write(tmp_path, text))
    for position in range(0, 1200, 7):
        wanted = {f"g{i}" for i, (s, e) in enumerate(spans) if s <= position < e}
        assert {g.name for g in genes.at("1", position)} == wanted


def test_masked(tmp_path: Path) -> None:
    (gene,) = Genes(write(tmp_path, HEADER + "A\t1\t+\t3\t6\t3\t6\n")).at("1", 4)
    assert gene.masked("ACGTACGT", 0, "N") == "NNNTACNN"
    assert gene.masked("ACGT", 4, "N") == "ACNN" and gene.masked("ACGT", 0, "N") == "NNNT"
    assert gene.masked("AC", 7, "N") == "NN" and gene.masked("AC", 0, "N") == "NN"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (HEADER, "holds no gene"),
        ("A\t1\t+\n", "a line is no gene"),
        (HEADER + "A\t1\t+\t10\n", "seven columns"),
        (HEADER + "A\t1\t.\t10\t20\t10\t20\n", "lies on a strand"),
        (HEADER + "A|B\t1\t+\t10\t20\t10\t20\n", "has a name"),
        (HEADER + "A\t1\t+\t10\t20\t10\t30\n", "has exons"),
        (HEADER + "A\t1\t+\t10\t20\t10,15\t20\n", "has exons"),
        (HEADER + "A\t1\t+\t10\t2x\t10\t20\n", "whole numbers"),
        (HEADER + "A\t1\t+\t20\t10\t12\t15\n", "has exons"),
        (HEADER + "A\t1\t+\t20\t\t12\t15\n", "whole numbers"),
        (HEADER + "A\t1\t+\t20\t10,\t12\t15\n", "whole numbers"),
        (BED.replace("0,40,", "0,"), "as many block sizes"),
    ],
)
def test_refused(text: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(FileError, match=fault):
        Genes(write(tmp_path, text))
