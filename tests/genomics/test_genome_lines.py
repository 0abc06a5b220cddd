"""Genomes whose lines keep them from being read by region: refused by line, plain or bgzip."""

from __future__ import annotations

from pathlib import Path

import pytest
from Bio import bgzf

from fastism_compiler.genomics.errors import FileError
from fastism_compiler.genomics.genome import Genome


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "bgzip"])
@pytest.mark.parametrize(
    ("text", "line", "rule"),
    [
        (">a\nACGT\nACGTACGT\nAC\nACGT\n", 3, "one length"),
        (">a\nACGT\nAC\nACGT\n>b\nAC\n", 3, "one length"),
        (">b\nAC\n>a\nAC\nACGT\n", 5, "one length"),  # pyfaidx gives other letters
        (">a\r\nACGT\r\nACGTA\nACGT\n", 3, "one length"),  # here, too
        (">a\nACGT\n\nACGT\n", 3, "blank lines"),
        (">a\nACGT\n\n\n", 4, "blank lines"),
        (">a\n\nAC\n", 2, "blank lines"),
        (">a\nAC\n>\nACGT\n", 3, "no name"),
    ],
)
def test_genomes_that_cannot_be_read_by_region(text: str, line: int, rule: str, packed: bool, tmp_path: Path) -> None:
    path = tmp_path / ("g.fa.gz" if packed else "g.fa")
    if packed:
        with bgzf.BgzfWriter(str(path)) as file:
            file.write(text)
    else:
        path.write_bytes(text.encode())
    with pytest.raises(FileError, match=rf"{path.name}:{line}: .*{rule}"):
        Genome(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name], "no index is left"
